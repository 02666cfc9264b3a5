"""One C-STORE: streamed to disk as it comes, checked, kept, answered (PS3.4 B.2.3)."""

import threading
from dataclasses import dataclass

from pydicom.uid import UID
from sqlalchemy.exc import DBAPIError

from dicom_ai_node import metrics
from dicom_ai_node.config.settings import LimitsSettings
from dicom_ai_node.database import lost, stopped
from dicom_ai_node.database.arrivals import Arrival, ReceivedInstance
from dicom_ai_node.database.engine import BUSY_TIMEOUT_S, Database
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive import part10
from dicom_ai_node.receive.answer import SUCCESS, Answer, Status, in_books
from dicom_ai_node.receive.brought import Brought
from dicom_ai_node.receive.elements import Malformed
from dicom_ai_node.receive.identity import Identity, identify, walk_for
from dicom_ai_node.receive.ledger import DatabaseDown, Ledger
from dicom_ai_node.receive.places import InstanceFile, Places
from dicom_ai_node.receive.seen import Seen
from dicom_ai_node.receive.sent_again import sent_again
from dicom_ai_node.receive.space import Space
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

_SLACK = 1 << 20  # bytes that may still come after an object was refused for its size


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a C-STORE request said besides its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    context_sop_class_uid: str
    transfer_syntax_uid: UID
    calling_ae_title: str
    called_ae_title: str


DATABASE_DOWN = Answer(Status.OUT_OF_RESOURCES, "the database cannot take it now")
_DISK_DOWN = Answer(Status.OUT_OF_RESOURCES, "the disk cannot take it now")


TOO_LARGE = Answer(Status.OUT_OF_RESOURCES, "the object is larger than allowed here")


class TooLarge(Exception):
    """The peer goes on sending an object that is refused for its size."""


class Store:
    """Takes C-STORE requests, of all associations of this process."""

    def __init__(
        self,
        spool: Spool,
        database: Database,
        limits: LimitsSettings,
        space: Space,
        *,
        is_alone: bool = True,
        seen: Seen | None = None,
    ) -> None:
        self.spool = spool
        self.database = database
        self.limits = limits
        self.space = space
        self.restoring = threading.Lock()
        self.places = Places(spool)
        self.ledger = Ledger(
            database,
            spool,
            study_instances=limits.study_instances,
            is_alone=is_alone,
            seen=seen,
        )

    def start(self) -> None:
        self.places.start()
        self.ledger.start()

    def stop(self) -> None:
        self.ledger.stop()
        self.places.stop()

    def begin(self, message: Message, brought: Brought | None = None) -> "Reception | Refused":
        """`brought` is told the study of an instance that is new."""
        if self.space.is_scarce():  # P9
            metrics.LIMITS_BREACHED.labels("space_hard_mb").inc()
            return Refused(_DISK_DOWN)
        if self.ledger.is_down():  # P14
            return Refused(DATABASE_DOWN)
        return Reception(self, message, brought)


@dataclass(frozen=True, slots=True)
class Refused:
    """A data set that is taken from the wire, and nowhere else."""

    answer: Answer

    def feed(self, data: memoryview) -> None:
        pass

    def finish(self) -> Answer:
        return self.answer

    def drop(self) -> None:
        pass


class Reception:
    """One data set on its way in; it is fed to its end whatever becomes of it.

    What is wrong with one instance is its answer: the association goes on with the next (P4).
    """

    def __init__(self, store: Store, message: Message, brought: Brought | None) -> None:
        self._store = store
        self._message = message
        self._brought = brought
        self._walk = walk_for(message.transfer_syntax_uid)
        self._file: InstanceFile | None = None
        self._came = 0
        self.kept: tuple[ReceivedInstance, str] | None = None  # what was new, and its file
        self._refused: Answer | None = None
        self._open()

    def _open(self) -> None:
        message = self._message
        try:
            self._file = InstanceFile(
                self._store.spool,
                self._store.places.take(),
                part10.head(
                    sop_class_uid=message.sop_class_uid[:64],
                    sop_instance_uid=message.sop_instance_uid[:64],
                    transfer_syntax_uid=message.transfer_syntax_uid,
                    calling_ae_title=message.calling_ae_title,
                    called_ae_title=message.called_ae_title,
                ),
            )
        except OSError as error:
            self._disk_failed(error)

    def feed(self, data: memoryview) -> None:
        """The next piece of the data set; raises TooLarge when refusing did not help."""
        self._came += len(data)
        if self._came > self._store.limits.object_bytes:
            self._refuse(TOO_LARGE)
            if self._came > self._store.limits.object_bytes + _SLACK:
                raise TooLarge
        if self._file is None:
            return
        try:
            self._walk.feed(data)
            self._file.write(data)
        except Malformed as error:
            self._refuse(Answer(Status.CANNOT_UNDERSTAND, str(error)))
        except OSError as error:
            self._disk_failed(error)

    def finish(self) -> Answer:
        """The answer to the whole; a success means durable (P1)."""
        if self._file is None:
            assert self._refused is not None  # noqa: S101 — else there were a file
            return self._refused
        try:
            identity = identify(self._walk.finish())
        except Malformed as error:
            return self._refuse(Answer(Status.CANNOT_UNDERSTAND, str(error)))
        if not self._agrees(identity):
            return self._refuse(
                Answer(
                    Status.DOES_NOT_MATCH_SOP_CLASS,
                    "SOP class or instance of message and data set differ",
                )
            )
        try:
            return self._keep(self._file, identity)
        except OSError as error:
            return self._disk_failed(error)
        except (DatabaseDown, DBAPIError):
            return self._refuse(DATABASE_DOWN)

    def drop(self) -> None:
        """The association ended in the middle: nothing is left (A21)."""
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _agrees(self, identity: Identity) -> bool:
        message = self._message
        classes = {message.sop_class_uid, message.context_sop_class_uid, identity.sop_class_uid}
        return len(classes) == 1 and message.sop_instance_uid == identity.sop_instance_uid

    def _keep(self, file: InstanceFile, identity: Identity) -> Answer:
        received = ReceivedInstance(
            study_instance_uid=identity.study_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
            transfer_syntax_uid=self._message.transfer_syntax_uid,
            patient_digest=identity.patient_digest,
            calling_ae_title=self._message.calling_ae_title,
            called_ae_title=self._message.called_ae_title,
            sha256=file.seal(),
            size=file.size,
        )
        found = self._store.ledger.hand_in(received, file.name)
        if found is Arrival.NEW and self._brought is not None:
            self._brought.add(received.study_instance_uid)
        if found is Arrival.CONFLICT:
            return self._conflict(file, received)
        if found is Arrival.DUPLICATE:
            sent_again(
                self._store.database,
                [received.study_instance_uid],
                calling_ae_title=received.calling_ae_title,
                called_ae_title=received.called_ae_title,
            )
            if not self._restored(file, received):
                file.discard()
            self._store.ledger.count(in_books(SUCCESS))
        if found is Arrival.TOO_MANY:
            return self._refuse(
                Answer(Status.TOO_MANY_INSTANCES, "the study has more instances than allowed here")
            )
        if found is Arrival.NEW:
            self.kept = received, file.name
        self._file = None
        return SUCCESS

    def _conflict(self, file: InstanceFile, received: ReceivedInstance) -> Answer:
        """First kept, second kept aside, and a person decides (P3)."""
        self._settle()
        with self._store.database.write() as connection:
            uid, now = received.sop_instance_uid, self._store.database.now()
            stopped.conflict(connection, uid, now=now, came=received)
        reached(Step.CONFLICT_RECORDED)
        self._store.spool.set_aside(file.name, f"{received.sha256}.dcm")
        self._file = None
        log.warning("instance_conflict", calling_ae=received.calling_ae_title)
        return Answer(Status.DUPLICATE_SOP_INSTANCE, "this UID was stored with other contents")

    def _restored(self, file: InstanceFile, received: ReceivedInstance) -> bool:
        """What was stored before is only acknowledged again if its file is still there (P1)."""
        if not self._is_lost(received):
            return False
        with self._store.restoring:
            if not self._is_lost(received):  # another association was first
                return False
            self._settle()
            with self._store.database.write() as connection:
                now = self._store.database.now()
                lost.replace_file(connection, received.sop_instance_uid, file.name, now=now)
        log.warning("lost_instance_restored", calling_ae=received.calling_ae_title)
        return True

    def _is_lost(self, received: ReceivedInstance) -> bool:
        before = self._store.ledger.file_of(received.sop_instance_uid)
        return not self._store.spool.instance_path(before).is_file()

    def _settle(self) -> None:
        """The row of the first may be on its way there."""
        if not self._store.ledger.settle(BUSY_TIMEOUT_S):
            raise DatabaseDown

    def _disk_failed(self, error: OSError) -> Answer:
        log.error("instance_not_stored", cause="disk", errno=error.errno)
        return self._refuse(_DISK_DOWN)

    def _refuse(self, answer: Answer) -> Answer:
        """The first reason is the answer; what was written is gone."""
        self.drop()
        self._refused = self._refused or answer
        return self._refused
