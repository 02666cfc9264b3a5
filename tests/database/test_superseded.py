"""Which reports a new one replaces."""

from sqlalchemy import Connection

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.database import deliveries, jobs, ladders
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.superseded import COMPREHENSIVE_3D_SR, superseded_reports
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.job import Job, JobState, ReportReference
from tests.database.made import (
    BINARY_ALONE,
    IN_TWO_FORMS,
    NOW,
    SEG,
    SR,
    TWO_FORMS,
    again,
    claimed,
    enqueued,
)

OF_LABELMAP, OF_BINARY = (
    ReportReference(
        sop_class_uid=each.sop_class_uid,
        series_instance_uid=each.series_instance_uid,
        sop_instance_uid=each.sop_instance_uid,
    )
    for each in IN_TWO_FORMS
    if each.kind == "sr"
)


def earlier_and_later(
    connection: Connection, forms: dict[str, ResultForms], objects: tuple = IN_TWO_FORMS
) -> tuple[Job, Job]:
    earlier = enqueued(connection, "a", series_instance_uid="1.2.3", send_to=tuple(forms))
    deliveries.publish(
        connection,
        claimed(connection),
        objects,
        outcome="findings",
        reason=None,
        timings={},
        now=NOW,
        forms=forms,
    )
    later = enqueued(connection, "b", series_instance_uid="1.2.3", send_to=tuple(forms))
    assert later.supersedes == earlier.id
    return again(connection, earlier), later


def test_the_reports_that_peers_have_each_once(database: Database) -> None:
    forms = {"a": BINARY_ALONE, "b": BINARY_ALONE, "c": TWO_FORMS}
    with database.write() as connection:
        _, later = earlier_and_later(connection, forms)
        assert superseded_reports(connection, later) == (OF_BINARY, OF_LABELMAP)


def test_not_those_that_were_kept_back_nor_those_that_were_not_taken(database: Database) -> None:
    with database.write() as connection:
        earlier, later = earlier_and_later(connection, {"pacs": TWO_FORMS})
        assert superseded_reports(connection, later) == (OF_LABELMAP,)
        (first, _), *_ = deliveries.due(connection, "pacs", now=NOW)
        ladders.step_down(connection, earlier.id, "pacs", [first.id], status="0122", now=NOW)
        assert superseded_reports(connection, later) == (OF_BINARY,)


def test_the_nearest_job_that_has_one(database: Database) -> None:
    with database.write() as connection:
        _, later = earlier_and_later(connection, {"pacs": BINARY_ALONE})
        jobs.move(connection, later, JobState.CANCELLED, now=NOW)
        third = enqueued(connection, "c", series_instance_uid="1.2.3")
        assert superseded_reports(connection, third) == (OF_BINARY,)


def test_one_of_before_there_were_forms_is_named_as_it_was_made_then(database: Database) -> None:
    with database.write() as connection:
        _, later = earlier_and_later(connection, {"pacs": BINARY_ALONE}, (SEG, SR))
        assert superseded_reports(connection, later) == (
            ReportReference(
                sop_class_uid=COMPREHENSIVE_3D_SR,
                series_instance_uid=DerivedIds(job_key="a").uid("sr", "series"),
                sop_instance_uid=SR.sop_instance_uid,
            ),
        )


def test_who_replaces_nobody_names_none(database: Database) -> None:
    with database.write() as connection:
        assert superseded_reports(connection, enqueued(connection)) == ()
