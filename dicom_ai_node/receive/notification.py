"""Notifications that say what a study has: availability, and steps of a modality (PS3.4 R, F.7).

They are kept as what is expected, and nothing else is done here.
"""

from collections.abc import Sequence

from pydicom.uid import UID
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dicom_ai_node.database import expectations
from dicom_ai_node.database.engine import Database
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive import command as dimse
from dicom_ai_node.receive.answer import SUCCESS, Answer, NotificationStatus
from dicom_ai_node.receive.attributes import TOO_LONG, Collected, Unacceptable
from dicom_ai_node.receive.command import Command
from dicom_ai_node.receive.negotiation import PERFORMED_STEP
from dicom_ai_node.receive.notification_request import (
    COMPLETED,
    DISCONTINUED,
    IN_PROGRESS,
    Series,
    read_availability,
    read_step,
)
from dicom_ai_node.study import WHOLE_STUDY, Expected, Source
from dicom_ai_node.uids import is_uid

log = get_logger(__name__)

_DATABASE_DOWN = Answer(NotificationStatus.PROCESSING_FAILURE, "the database cannot take it now")


class Notification(Collected):
    """One N-CREATE or N-SET, and its data set while it comes."""

    def __init__(
        self, database: Database, request: Command, *, sop_class_uid: str, transfer_syntax: UID
    ) -> None:
        super().__init__()
        self._database = database
        self._request = request
        self._sop_class_uid = sop_class_uid
        self._transfer_syntax = transfer_syntax

    def finish(self) -> Answer:
        """A success means that it is kept."""
        if self.is_too_long:
            return TOO_LONG
        try:
            self._take()
        except Unacceptable as error:
            return Answer(error.status, str(error))
        except SQLAlchemyError:
            log.exception("notification_not_taken")
            return _DATABASE_DOWN
        return SUCCESS

    def _take(self) -> None:
        is_new = self._request.number(dimse.COMMAND_FIELD) == dimse.N_CREATE_RQ
        of_class, of_instance = (
            (dimse.AFFECTED_SOP_CLASS_UID, dimse.AFFECTED_SOP_INSTANCE_UID)
            if is_new
            else (dimse.REQUESTED_SOP_CLASS_UID, dimse.REQUESTED_SOP_INSTANCE_UID)
        )
        uid = self._request.text(of_instance)
        if self._request.text(of_class) != self._sop_class_uid:
            raise Unacceptable(
                NotificationStatus.NO_SUCH_SOP_CLASS, "another SOP class than that of the context"
            )
        if not is_uid(uid):
            raise Unacceptable(NotificationStatus.INVALID_SOP_INSTANCE, "no SOP Instance UID")
        if self._sop_class_uid == PERFORMED_STEP:
            (self._step_begins if is_new else self._step_goes_on)(uid)
        elif is_new:
            self._is_available(uid)
        else:
            raise Unacceptable(
                NotificationStatus.UNRECOGNIZED_OPERATION, "such a notification is only created"
            )

    def _is_available(self, uid: str) -> None:
        found = read_availability(self.take(), self._transfer_syntax)
        said = self._expected(
            Source.IAN, uid, found.study_instance_uid, found.series, is_final=True
        )
        with self._database.write() as connection:
            _refuse_second(connection, Source.IAN, uid)
            expectations.replace(connection, said)

    def _step_begins(self, uid: str) -> None:
        step = read_step(self.take(), self._transfer_syntax)
        if step.status != IN_PROGRESS:
            raise Unacceptable(
                NotificationStatus.INVALID_ATTRIBUTE_VALUE, "a step begins in progress"
            )
        if not step.study_instance_uids:
            raise Unacceptable(NotificationStatus.MISSING_ATTRIBUTE, "a step of no study")
        with self._database.write() as connection:
            _refuse_second(connection, Source.MPPS, uid)
            self._keep_step(
                connection, uid, step.study_instance_uids, step.series or {}, is_final=False
            )

    def _step_goes_on(self, uid: str) -> None:
        """What is not set anew stays; a step that has ended is left as it is (PS3.4 F.7.2.2.2)."""
        step = read_step(self.take(), self._transfer_syntax)
        with self._database.write() as connection:
            before = expectations.of_notification(connection, Source.MPPS, uid)
            if not before:
                raise Unacceptable(
                    NotificationStatus.NO_SUCH_SOP_INSTANCE, "no such procedure step"
                )
            if any(each.is_final for each in before):
                raise Unacceptable(
                    NotificationStatus.PROCESSING_FAILURE,
                    "the step has ended and may no longer be updated",
                )
            series = _series(before) if step.series is None else step.series
            self._keep_step(
                connection,
                uid,
                frozenset(each.study_instance_uid for each in before),
                {} if step.status == DISCONTINUED else series,
                is_final=step.status in (COMPLETED, DISCONTINUED),
            )

    def _keep_step(
        self,
        connection: Connection,
        uid: str,
        studies: frozenset[str],
        series: Series,
        *,
        is_final: bool,
    ) -> None:
        """Of a step for several studies at once, nobody says which has which series."""
        for study in studies:
            of_study = series if len(studies) == 1 else {}
            said = self._expected(Source.MPPS, uid, study, of_study, is_final=is_final)
            expectations.replace(connection, said)

    def _expected(
        self, source: Source, uid: str, study: str, series: Series, *, is_final: bool
    ) -> list[Expected]:
        now = self._database.now()
        named = {WHOLE_STUDY: None, **series}
        total = sum(map(len, series.values()))
        return [
            Expected(
                study_instance_uid=study,
                series_instance_uid=of_series,
                source=source,
                origin=uid,
                instances=total if images is None else len(images),
                sop_instance_uids=images,
                is_final=is_final,
                at=now,
            )
            for of_series, images in named.items()
        ]


def _series(expected: Sequence[Expected]) -> Series:
    return {
        each.series_instance_uid: each.sop_instance_uids
        for each in expected
        if each.sop_instance_uids is not None
    }


def _refuse_second(connection: Connection, source: Source, uid: str) -> None:
    if expectations.of_notification(connection, source, uid):
        raise Unacceptable(
            NotificationStatus.DUPLICATE_SOP_INSTANCE, "this notification is here already"
        )
