"""One attempt at one job: load, predict, encode, write. Runs in a fenced process of its own, and
behind `predict`; it knows no database and no network."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.follow_up import follow_up, study_date, tracked_study_of
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.source.planes import SHOWN
from dicom_ai_node.errors import InputError, ModelError, ResultMismatch
from dicom_ai_node.gate import gate
from dicom_ai_node.gate.gate import Work, Written
from dicom_ai_node.header import read_head
from dicom_ai_node.input import ModelInput
from dicom_ai_node.loading.fuse import load_inputs
from dicom_ai_node.loading.load import load_headers
from dicom_ai_node.loading.picture import pictures
from dicom_ai_node.log import get_logger
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.report import REPORT, Report, WrittenObject, content_of
from dicom_ai_node.request import Request, superseded_by
from dicom_ai_node.result import MapKind, Result
from dicom_ai_node.spool import remove_folder
from dicom_ai_node.tracked import TrackedStudy
from dicom_ai_node.writing import durable, read_back, write

log = get_logger(__name__)

DESTROYED = "The result did not pass its own check ({why}): it was destroyed, and not sent."


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
            data = replace(data, maps=maps, instances=request.inputs, outside=request.outside)
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
    reached(Step.REPORT_WRITTEN)
    return report


def _why(error: ModelError | ResultMismatch) -> str:
    if isinstance(error, ModelError):
        return str(error)
    log.error("result_destroyed", why=str(error))
    return DESTROYED.format(why=error)


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


def _tracked(request: Request, result: Result, data: ModelInput) -> TrackedStudy | None:
    if result.outcome not in SHOWN:
        return None
    package, date = request.model.package, study_date(data.headers[0])
    following = follow_up(result, request.earlier, date)
    return tracked_study_of(result, DerivedIds(job_key=request.job_key), package, following, date)


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
        language=request.language,
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
    reached(Step.OBJECTS_WRITTEN)
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
