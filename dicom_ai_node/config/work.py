"""`work`: how jobs are run."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import Count, Seconds

Device = Annotated[str, StringConstraints(pattern=r"^(cpu|cuda:[0-9]{1,3})$")]


class WorkSettings(Strict):
    """How jobs are run."""

    lease_s: Seconds = 60
    """A worker that is silent for so long, in seconds, loses its job to another."""
    max_attempts: Annotated[int, Field(ge=1)] = 3
    """A job that has failed so often is quarantined, and the others go on."""
    retry_after_s: Annotated[float, Field(ge=0)] = 5
    """Seconds until a failed job is tried again; twice as long after the second try."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of PyTorch on the CPU; 0: one per core."""
    devices: Annotated[tuple[Device, ...], Field(min_length=1)] | Literal["auto"] = "auto"
    """`[cuda:0, cuda:1]` or `[cpu]`; auto: every CUDA device, else the CPU."""
    slots: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes run models on each device."""
    recycle_after: Count = 200
    """A process is replaced after so many attempts."""
    memory_mb: Count | None = None
    """What one process may use of memory, in MB, before it is ended; without it, 80 % of what is
    there, shared. A package may say less (`memory_mb`)."""
    scratch_mb: Count = 10_240
    """What one process may write of temporary files and results, in MB, before it is ended."""
    fence: Literal["auto", "required"] = "auto"
    """Models run without network and with few files, as far as the system allows; required: or
    not at all: [fence.md](fence.md)."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """The user that models run as, where root starts the node."""
