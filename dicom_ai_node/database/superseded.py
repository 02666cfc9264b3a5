"""Reports that a new one replaces."""

from sqlalchemy import Connection, RowMapping, select

from dicom_ai_node.database.tables import delivery, job
from dicom_ai_node.form import Kind
from dicom_ai_node.job import DeliveryState, Job, ReportReference
from dicom_ai_node.uids import derived_uid

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"

_NOT_SENT = (DeliveryState.SPARE, DeliveryState.PASSED, DeliveryState.GIVEN_UP)


def superseded_reports(connection: Connection, current: Job) -> tuple[ReportReference, ...]:
    """Those of the nearest job that this one supersedes and whose report was made: each that a
    peer has, or may have still."""
    superseded = current.supersedes
    while superseded is not None:
        earlier = connection.execute(
            select(job.c.key, job.c.supersedes).where(job.c.id == superseded)
        ).one()
        if found := _reports(connection, superseded, earlier.key):
            return found
        superseded = earlier.supersedes
    return ()


def _reports(connection: Connection, job_id: int, key: str) -> tuple[ReportReference, ...]:
    query = (
        select(delivery)
        .where(
            delivery.c.job_id == job_id,
            delivery.c.kind == Kind.SR,
            delivery.c.state.not_in(_NOT_SENT),
        )
        .order_by(delivery.c.id)
    )
    found = [_reference(row, key) for row in connection.execute(query).mappings()]
    return tuple(dict.fromkeys(found))  # peers share them


def _reference(row: RowMapping, key: str) -> ReportReference:
    """Of a delivery of before there were forms, by what was always done then."""
    return ReportReference(
        sop_class_uid=row["sop_class_uid"] or COMPREHENSIVE_3D_SR,
        series_instance_uid=row["series_instance_uid"]
        or derived_uid("result", key, 1, Kind.SR, "series"),
        sop_instance_uid=row["sop_instance_uid"],
    )
