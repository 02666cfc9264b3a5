"""One attempt at one job: load, predict, encode, write. Runs in a fenced process of its own, and
behind `predict`; it knows no database and no network."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.form import DEFAULT, Form
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome, ReportReference
from dicom_ai_node.loading.fuse import load_inputs
from dicom_ai_node.loading.load import load_headers
from dicom_ai_node.loading.picture import pictures
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import MapKind, Result
from dicom_ai_node.study import Instance

REPORT = "report.json"


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
    font: Path | None = None  # the site's own, for what is drawn

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Of the primary input, on which the results lie."""
        return next(iter(self.inputs.values()))


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
    every other exception is a failed attempt, and the caller's.
    """
    timings, data = loaded.timings, loaded.data
    result = loaded.result or _predict(data, model, timings)
    with _timed(timings, "encode"):
        data = data or ModelInput(headers=load_headers(request.instances))
        try:
            encoded = _encode(request, result, data, clock())
        except ModelError as error:
            result = Result.failed(str(error))
            encoded = _encode(request, result, data, clock())
        objects = _write(request.folder, encoded)
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
    )
    _synced(request.folder / REPORT, json.dumps(asdict(report), indent=1).encode())
    return report


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
    """The report of a finished attempt, or None where no whole one lies."""
    try:
        fields = json.loads((folder / REPORT).read_bytes())
    except FileNotFoundError:
        return None
    fields["outcome"] = Outcome(fields["outcome"])
    fields["objects"] = tuple(_written(entry) for entry in fields["objects"])
    fields["measurements"] = tuple(tuple(entry) for entry in fields["measurements"])
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


def _encode(
    request: Request, result: Result, data: ModelInput, finished_at: datetime
) -> Sequence[EncodedObject]:
    run_of = Run(
        ids=DerivedIds(job_key=request.job_key),
        package=request.model.package,
        model_sha256=request.model.sha256,
        finished_at=finished_at,
        supersedes=request.supersedes,
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


def _write(folder: Path, encoded: Sequence[EncodedObject]) -> tuple[WrittenObject, ...]:
    folder.mkdir(mode=0o700, parents=True)
    written = []
    for number, (kind, ds, forms) in enumerate(encoded, start=1):
        path = folder / f"{number}-{kind}.dcm"
        ds.save_as(path, enforce_file_format=True)
        content = path.read_bytes()
        _sync(path)
        written.append(
            WrittenObject(
                kind=kind,
                sop_class_uid=str(ds.SOPClassUID),
                sop_instance_uid=str(ds.SOPInstanceUID),
                series_instance_uid=str(ds.SeriesInstanceUID),
                file=path.name,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                frames=int(ds.get("NumberOfFrames") or 0),
                segments=len(ds.get("SegmentSequence") or ()),
                forms=forms,
            )
        )
    return tuple(written)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = round(time.perf_counter() - began, 4)


def _synced(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    _sync(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
