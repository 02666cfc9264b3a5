"""The append-only file of audit messages, which every process of the node writes to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did something: an account of this machine, a token's name, or a name from a proxy."""

    name: str
    through: Literal["command line", "web page", "node"]
    address: str = ""


class Trail:
    """Of one spool; one line a message, and nothing is ever changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def acted(
        self,
        actor: Actor,
        verb: str,
        *,
        study_instance_uid: str = "",
        job_id: int | None = None,
        subject: str = "",
        succeeded: bool = True,
    ) -> None:
        """A person used `verb`, as the command line calls it (`jobs retry`), on a study, a job, or
        what `subject` names: a model, a peer, a token."""
