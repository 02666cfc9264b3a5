"""From a row of the job table to all that an attempt needs to know."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import CommandPackage
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import earlier, jobs, studies
from dicom_ai_node.database.retracted import is_retracted
from dicom_ai_node.database.superseded import superseded_reports
from dicom_ai_node.deidentification.pseudonyms import patient_key
from dicom_ai_node.deidentification.site_key import read_site_key
from dicom_ai_node.form import DEFAULT, Form, Kind
from dicom_ai_node.input import Outside
from dicom_ai_node.job import Job, Outcome
from dicom_ai_node.language import Language
from dicom_ai_node.log import get_logger
from dicom_ai_node.report import UNREADABLE, Report, read_report
from dicom_ai_node.request import Request
from dicom_ai_node.spool import Spool
from dicom_ai_node.tracked import TrackedStudy

log = get_logger(__name__)

MOST_EARLIER = 20


def request_of(
    job: Job,
    model: InstalledModel,
    connection: Connection,
    spool: Spool,
    forms: Sequence[Form] = (DEFAULT,),
    font: Path | None = None,
    language: Language = Language.ENGLISH,
    outside: Outside | None = None,
) -> Request | None:
    """None when instances of its inputs are no longer stored, or their files are gone; `forms` are
    those of its peers, and `font` and `language` are the site's own."""
    inputs = {
        name: tuple(studies.instances_named(connection, spool, uids))
        for name, uids in job.inputs.items()
    }
    if any(len(inputs[name]) != len(uids) for name, uids in job.inputs.items()):
        return None
    if not all(each.path.is_file() for several in inputs.values() for each in several):
        return None
    masks, refusal = _masks(job, connection, spool)
    return Request(
        job_key=job.key,
        model=model,
        inputs=inputs,
        masks=masks,
        maps=job.maps,
        forms=tuple(forms),
        supersedes=superseded_reports(connection, job),
        earlier=_earlier(job, connection, spool),
        folder=spool.attempt_path(str(job.lease_id)),
        font=font and font.absolute(),
        language=language,
        refusal=job.reason if job.outcome else refusal,
        outside=outside,
    )


def outside_of(
    job: Job, model: InstalledModel, config: Config, spool: Spool, connection: Connection
) -> Outside | None:
    """None for a model that may know the patient; raises ConfigError for a key of no use."""
    package = model.package
    if not isinstance(package, CommandPackage):
        return None
    if not package.outside and package.name not in config.privacy.deidentify:
        return None
    digest = studies.patient_digest(connection, job.study_id)
    key = patient_key(read_site_key(config, spool), digest)
    return Outside(key=key, keep=config.privacy.keep)


def _earlier(job: Job, connection: Connection, spool: Spool) -> tuple[TrackedStudy, ...]:
    """What this model found in other studies of the patient, as far as its results still lie here;
    the newest jobs. Which of them was before, their dates will say."""
    keys = earlier.keys_of_patient(connection, job, most=MOST_EARLIER)
    reports = [_read(spool.outbox_path(key)) for key in keys]
    return tuple(report.tracked for report in reports if report and report.tracked)


def _read(folder: Path) -> Report | None:
    """None for a damaged one as well: another study is not to wait for that."""
    try:
        return read_report(folder)
    except UNREADABLE:
        log.exception("report_unreadable", folder=folder.name)
        return None


def _masks(job: Job, connection: Connection, spool: Spool) -> tuple[dict[str, Path], str | None]:
    """A SEG of each of the jobs that this one builds on; a sentence where one of them made none."""
    masks: dict[str, Path] = {}
    for name, job_id in job.uses.items():
        used = jobs.find(connection, job_id)
        if used is None:  # the table refers to it
            raise LookupError(f"job {job_id} is not in the table")
        if is_retracted(connection, job_id):
            return {}, f"{_works_on(job, used)} What {used.model} marked here was retracted."
        folder = spool.outbox_path(used.key)
        report = read_report(folder)
        seg = _seg_of(report) if report else None
        if seg is None:
            return {}, f"{_works_on(job, used)} {_why_none(used)}"
        masks[name] = folder / seg
    return masks, None


def _seg_of(report: Report) -> str | None:
    """Its file: of the form that has the fewest, for in another one the segments are split up."""
    by_form: dict[tuple[str, ...], list[str]] = {}
    for each in report.objects:
        if each.kind == Kind.SEG:
            by_form.setdefault(each.forms, []).append(each.file)
    return min(by_form.values(), key=len)[0] if by_form else None


def _works_on(job: Job, used: Job) -> str:
    return f"{job.model} works on what {used.model} marks."


def _why_none(used: Job) -> str:
    if used.outcome is Outcome.NONE:
        return f"{used.model} found nothing."
    return f"{used.model} gave no result: {used.reason or used.outcome}"
