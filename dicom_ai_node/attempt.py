"""One attempt at one job: load, predict, encode, write. Runs in a fenced process of its own, and
behind `predict`; it knows no database and no network."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.follow_up import follow_up, study_date, tracked_study_of
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.source.planes import SHOWN
from dicom_ai_node.errors import InputError, ModelError, ResultMismatch
from dicom_ai_node.form import DEFAULT, Form
from dicom_ai_node.gate import gate
from dicom_ai_node.gate.gate import Work, Written
from dicom_ai_node.header import read_head, read_header
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome, ReportReference
from dicom_ai_node.loading.fuse import load_inputs
from dicom_ai_node.loading.load import load_headers
from dicom_ai_node.loading.picture import pictures
from dicom_ai_node.log import get_logger
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import MapKind, Result
from dicom_ai_node.spool import remove_folder
from dicom_ai_node.study import Instance
from dicom_ai_node.tracked import TrackedStudy, tracked_study
from dicom_ai_node.writing import durable, read_back, write

log = get_logger(__name__)

REPORT = "report.json"
# what `read_report` may raise over one that is damaged
UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError),
    *(AttributeError, RecursionError),
)
DESTROYED = "The result did not pass its own check ({why}): it was destroyed, and not sent."


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an attempt needs to know; `refusal` is set when the routes refused the study."""

    job_key: str
    model: InstalledModel
    inputs: Mapping[str, tuple[Instance, ...]]  # by the input's name, the primary first
    folder: Path  # made by the attempt; nothing outside it is written
    masks: Mapping[str, Path] = field(default_factory=dict)  # SEG objects of other jobs
    maps: tuple[str, ...] = ()  # what the route asks for beside the answer
    forms: tuple[Form, ...] = (DEFAULT,)  # all that its destinations may need
    refusal: str | None = None
    supersedes: tuple[ReportReference, ...] = ()  # reports that this one's replaces
    earlier: tuple[TrackedStudy, ...] = ()  # this model's findings in studies of this patient
    font: Path | None = None  # the site's own, for what is drawn

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Of the primary input, on which the results lie."""
        return next(iter(self.inputs.values()))

    @property
    def source(self) -> Instance:
        """The one whose patient and study every object has."""
        return min(self.instances, key=lambda instance: instance.sop_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenObject:
    """`forms` are the labels of those that it is a part of; `frames` and `segments` are 0 for what
    has none."""

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    file: str
    sha256: str
    size: int  # bytes
    frames: int = 0
    segments: int = 0
    forms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came out of it; stored beside the objects, so that a crash cannot separate them."""

    outcome: Outcome
    reason: str | None
    objects: tuple[WrittenObject, ...]
    measurements: tuple[tuple[str, str, float, str], ...]  # finding, name, value, unit
    timings: dict[str, float]
    tracked: TrackedStudy | None = None  # for a later study of the patient


def _local_time() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a model is given; or the result, where the study is not for it."""

    data: ModelInput | None = None
    result: Result | None = None
    timings: dict[str, float] = field(default_factory=dict)


def run(
    request: Request,
    model: Callable[[], Model],
    *,
    clock: Callable[[], datetime] = _local_time,
) -> Report:
    """All of it, one part after the other."""
    return finish(request, load(request), model, clock=clock)


def load(request: Request) -> Loaded:
    """The first part: needs no model, and may be done while another attempt predicts."""
    if request.refusal is not None:
        return Loaded(result=Result.not_suitable(request.refusal))
    timings: dict[str, float] = {}
    try:
        with _timed(timings, "load"):
            data = load_inputs(request.inputs, request.masks, kind=request.model.package.input)
            maps = frozenset(map(MapKind, request.maps))
            data = replace(data, maps=maps, instances=request.inputs)
    except InputError as error:
        return Loaded(result=Result.not_suitable(str(error)), timings=timings)
    except ModelError as error:
        return Loaded(result=Result.failed(str(error)), timings=timings)
    return Loaded(data=data, timings=timings)


def finish(
    request: Request,
    loaded: Loaded,
    model: Callable[[], Model],
    *,
    clock: Callable[[], datetime] = _local_time,
) -> Report:
    """`model` opens the model, or hands over the warm one; it is not called for a refused study.

    What makes a study unsuitable or the model's answer unusable becomes a report like any other;
    every other exception is a failed attempt, and the caller's; so is a ResultMismatch of the
    report of a failure.
    """
    timings, data = loaded.timings, loaded.data
    result = loaded.result or _predict(data, model, timings)
    data = data or ModelInput(headers=load_headers(request.instances))
    try:
        objects = _made(request, result, data, clock(), timings)
    except (ModelError, ResultMismatch) as error:
        result = Result.failed(_why(error))
        objects = _made(request, result, data, clock(), timings)
    report = Report(
        outcome=result.outcome,
        reason=result.reason,
        objects=objects,
        measurements=tuple(
            (finding.tracking_identifier, m.name.meaning, m.value, m.unit.value)
            for finding in result.findings
            for m in finding.measurements
        ),
        timings=timings,
        tracked=_tracked(request, result, data),
    )
    durable(request.folder / REPORT, content_of(report))
    return report


def _why(error: ModelError | ResultMismatch) -> str:
    if isinstance(error, ModelError):
        return str(error)
    log.error("result_destroyed", why=str(error))
    return DESTROYED.format(why=error)


def content_of(report: Report) -> bytes:
    """As it lies in its file."""
    return json.dumps(asdict(report), indent=1).encode()


def _predict(
    data: ModelInput | None, model: Callable[[], Model], timings: dict[str, float]
) -> Result:
    assert data is not None  # noqa: S101 - what has no result was loaded
    try:
        with _timed(timings, "open"):
            opened = model()
        with _timed(timings, "predict"):
            return opened.predict(data)
    except InputError as error:
        return Result.not_suitable(str(error))
    except ModelError as error:
        return Result.failed(str(error))


def read_report(folder: Path) -> Report | None:
    """The report of a finished attempt, or None where none lies; one of UNREADABLE."""
    try:
        fields = json.loads((folder / REPORT).read_bytes())
    except FileNotFoundError:
        return None
    fields["outcome"] = Outcome(fields["outcome"])
    fields["objects"] = tuple(_written(entry) for entry in fields["objects"])
    fields["measurements"] = tuple(tuple(entry) for entry in fields["measurements"])
    tracked = fields.get("tracked")  # of a later day than the first reports
    fields["tracked"] = tracked_study(tracked) if tracked else None
    return Report(**fields)


def _written(entry: dict[str, Any]) -> WrittenObject:
    """A version of before wrote kind, UID and file alone; such reports are published, and used."""
    unknown: dict[str, Any] = {
        "sop_class_uid": "",
        "series_instance_uid": "",
        "sha256": "",
        "size": 0,
    }
    return WrittenObject(**(unknown | entry | {"forms": tuple(entry.get("forms", ()))}))


def _tracked(request: Request, result: Result, data: ModelInput) -> TrackedStudy | None:
    if result.outcome not in SHOWN:
        return None
    package, date = request.model.package, study_date(data.headers[0])
    following = follow_up(result, request.earlier, date)
    return tracked_study_of(result, DerivedIds(job_key=request.job_key), package, following, date)


def superseded_by(request: Request) -> frozenset[str]:
    """The SOP Instance UIDs of earlier objects of ours that a report may say it replaces."""
    return frozenset(each.sop_instance_uid for each in request.supersedes)


def known_to(request: Request) -> set[str]:
    """The SOP Instance UIDs of all that an object of this attempt may refer to."""
    known = {each.sop_instance_uid for instances in request.inputs.values() for each in instances}
    masks = (read_header(path, ["SOPInstanceUID"]) for path in request.masks.values())
    return known | {str(ds.SOPInstanceUID) for ds in masks} | superseded_by(request)


def _encode(
    request: Request, result: Result, data: ModelInput, finished_at: datetime
) -> Sequence[EncodedObject]:
    run_of = Run(
        ids=DerivedIds(job_key=request.job_key),
        package=request.model.package,
        model_sha256=request.model.sha256,
        finished_at=finished_at,
        supersedes=request.supersedes,
        earlier=request.earlier,
        font=request.font,
    )
    return encode(
        result,
        data.headers,
        run_of,
        request.model.package.results,
        forms=request.forms,
        evidence=data.evidence,
        picture=pictures(request.instances),
    )


def _made(
    request: Request,
    result: Result,
    data: ModelInput,
    finished_at: datetime,
    timings: dict[str, float],
) -> tuple[WrittenObject, ...]:
    """The files of a result, read back as what the job is about; else ResultMismatch, and none."""
    with _timed(timings, "encode"):
        encoded = _encode(request, result, data, finished_at)
        paths = write(request.folder, encoded)
    with _timed(timings, "check"):
        try:
            written = read_back(paths, encoded)
            work = Work(
                result=result,
                headers=data.headers,
                source=read_head(request.source.path),
                forms=request.forms,
                with_segmentation="seg" in request.model.package.results,
                evidence=data.evidence,
                superseded=superseded_by(request),
            )
            gate.check(written, work)
        except ResultMismatch:
            remove_folder(request.folder)
            raise
    return tuple(_described(each) for each in written)


def _described(written: Written) -> WrittenObject:
    ds = written.file.header
    return WrittenObject(
        kind=written.kind,
        **asdict(written.claim),
        file=written.file.path.name,
        sha256=written.file.sha256,
        size=written.file.size,
        frames=int(ds.get("NumberOfFrames") or 0),
        segments=len(ds.get("SegmentSequence") or ()),
        forms=tuple(written.forms),
    )


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = round(time.perf_counter() - began, 4)
