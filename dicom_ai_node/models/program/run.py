"""A model's own program: its arguments, its environment, and how it ended."""

import builtins
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dicom_ai_node.errors import ModelError, ProgramFailed
from dicom_ai_node.log import get_logger
from dicom_ai_node.models.program import tether

# what programs and container engines need of ours, and nothing that is secret
_KEPT = (
    *("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "OMP_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_HOME"),
    *("DOCKER_HOST", "CONTAINER_HOST", "XDG_RUNTIME_DIR"),
)
_TAIL = 8192  # bytes of stderr in which an exception is looked for
_EXCEPTION = re.compile(rb"^(?:[\w.]+\.)?([A-Z]\w{2,40})(?::|$)", re.MULTILINE)
_KNOWN = {*dir(builtins), "OutOfMemoryError"}  # other words may be anything, and are not repeated
_OUT_OF_MEMORY = 137  # what a shell or a container says of SIGKILL

log = get_logger(__name__)


def filled_in(text: str, places: Mapping[str, Path]) -> str:
    """`{input}`, `{output}` and `{model}` become their folders; all else stays."""
    return re.sub(r"\{(\w+)\}", lambda m: str(places.get(m[1], m[0])), text)


def environment(scratch: Path, more: Mapping[str, str]) -> dict[str, str]:
    """An allow-list of ours, folders of the attempt for whatever is written, and the package's."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    home = scratch / "home"
    home.mkdir()
    # python would leave its bytecode among the package's files, which are pinned
    own = {"HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **own, **more}


def run(command: Sequence[str], scratch: Path, variables: Mapping[str, str], *, label: str) -> None:
    """To its end; it is in our process group, and ends with us. Its output is not kept.

    ModelError where there is no such program, ProgramFailed where it does not end well.
    """
    program = shutil.which(command[0], path=variables.get("PATH"))
    if program is None:
        raise ModelError(f"{label} needs the program {command[0]}, which is not installed here")
    tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), program, *command[1:]]
    with (scratch / "stderr").open("w+b") as stderr:
        done = subprocess.run(
            tied,
            cwd=scratch,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            check=False,
        )
        stderr.seek(max(0, stderr.tell() - _TAIL))
        how = ended(done.returncode, stderr.read())
    log.info("program_ended", status=done.returncode, how=how)
    if done.returncode:
        raise ProgramFailed(f"the program of {label} ended badly ({how})")


def ended(status: int, stderr: bytes) -> str:
    """In words, without any of the program's own: those may name a patient."""
    if status in (_OUT_OF_MEMORY, -signal.SIGKILL):
        return "killed, perhaps for want of memory"
    if status < 0:
        return f"signal {signal.Signals(-status).name}"
    named = [name.decode() for name in _EXCEPTION.findall(stderr) if name.decode() in _KNOWN]
    return f"status {status}, {named[-1]}" if status and named else f"status {status}"
