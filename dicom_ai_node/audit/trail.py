"""The trail of audit messages, which every process of the node writes to."""

import os
import pwd
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dicom_ai_node.audit import acts, codes, events, lines
from dicom_ai_node.audit.acts import Act, Actor
from dicom_ai_node.audit.codes import Outcome
from dicom_ai_node.audit.message import SECURITY_RESOURCE, Message, Party, Source, Subject
from dicom_ai_node.audit.study import StudyInstances
from dicom_ai_node.audit.xml import to_xml
from dicom_ai_node.errors import NodeError
from dicom_ai_node.log import get_logger

__all__ = ["Actor", "NotRecorded", "StudyInstances", "Trail"]

log = get_logger(__name__)

_NOBODY = 0xFFFFFFFF  # /proc/self/loginuid of what no session has started


class NotRecorded(NodeError):
    """The audit trail cannot be written, so what it should hold is not done."""


def _unknown(study_instance_uid: str) -> StudyInstances:
    return StudyInstances(study_instance_uid=study_instance_uid)


class Trail:
    """Of one spool; one line a message, and nothing is ever changed."""

    def __init__(
        self,
        folder: Path,
        source: Source | None = None,
        *,
        study_of: Callable[[str], StudyInstances] = _unknown,
    ) -> None:
        """`study_of` says whose a study is, by its UID."""
        self.folder = folder
        self.source = source or Source()
        self._study_of = study_of
        self._machine = socket.gethostname()

    @property
    def here(self) -> Party:
        """This process, which its number stands for, as in the system's log (A.5.2.1)."""
        titles = ";".join(self.source.ae_titles)
        return Party(
            user_id=str(os.getpid()),
            alternative_id=f"AETITLES={titles}" if titles else "",
            name="dicom_ai_node",
            address=self._machine,
        )

    def person(self, actor: Actor) -> Party:
        return acts.person(actor, self._machine)

    def study(self, study_instance_uid: str) -> StudyInstances:
        """With its patient, as far as the node still knows."""
        return self._study_of(study_instance_uid)

    def require(self, message: Message) -> None:
        """On disk when this returns; raises NotRecorded, and then it must not happen."""
        try:
            self._write(message, sync=True)
        except OSError as error:
            raise NotRecorded(
                f"the audit trail in {self.folder} cannot be written ({error.strerror}), so "
                "nothing was done: free space there, or give it back to the node's account"
            ) from None

    def note(self, message: Message, *, sync: bool = True) -> None:
        """Of what has happened already: trouble is logged as an error, and nothing else stops."""
        try:
            self._write(message, sync=sync)
        except OSError as error:
            log.exception("audit_not_written", errno=error.errno, what=message.event.meaning)

    def _write(self, message: Message, *, sync: bool) -> None:
        day = datetime.fromtimestamp(message.at, UTC)
        body = to_xml(message, self.source)
        lines.append(
            self.folder,
            body,
            day=f"{day:%Y-%m-%d}",
            sync=sync,
            head_lost=lambda: to_xml(self._head_lost(message.at), self.source),
        )

    def _head_lost(self, at: float) -> Message:
        """Whether lines are missing at the end, or the beginning, nobody can say any more."""
        uri = self.folder.absolute().as_uri()
        return events.security_alert(
            [self.here],
            kind=codes.HEAD_LOST,
            subjects=[Subject(id=uri, id_type=codes.URI, role=SECURITY_RESOURCE)],
            description="head of the audit trail was missing or spoilt: lines may have been lost",
            at=at,
            outcome=Outcome.SERIOUS_FAILURE,
        )

    def acted(
        self,
        actor: Actor,
        verb: str,
        *,
        study_instance_uid: str = "",
        job_id: int | None = None,
        subject: str = "",
        succeeded: bool = True,
        is_over: bool = False,
    ) -> None:
        """A person used `verb`, as the command line calls it (`jobs retry`), on a study, a job, or
        what `subject` names: a model, a peer, a token.

        Called before it is done, and again with `succeeded` false if it then fails. `sign in`,
        `sign out` and verbs that end in `preview` have messages of their own. Raises NotRecorded;
        but not of what `is_over`, and was on record before it began.
        """
        act = Act(
            verb=verb,
            study=self.study(study_instance_uid) if study_instance_uid else None,
            job_id=job_id,
            subject=subject,
            succeeded=succeeded,
        )
        who = self.person(actor)
        message = acts.message_of(self.here, who, act, at=time.time())
        if is_over:
            self.note(message)
        else:
            self.require(message)


def this_person() -> Actor:
    """Who sits at this terminal: the account that signed in, also behind `sudo`."""
    name = _account_of(os.getuid())
    behind = _login_name()
    if behind and behind != name:
        name = f"{behind} as {name}"
    return Actor(name=name, through="command line")


def _login_name() -> str:
    """The kernel's word where it has one, else that of sudo; empty where nobody signed in."""
    with suppress(OSError, ValueError):
        number = int(Path("/proc/self/loginuid").read_text())
        if number != _NOBODY:
            return _account_of(number)
    return os.environ.get("SUDO_USER", "") if os.geteuid() == 0 else ""


def _account_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
