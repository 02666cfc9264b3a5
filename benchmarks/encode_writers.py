"""Each writer of a Segmentation, measured in a process that does nothing else."""

import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import files
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
from pydicom.sr.codedict import codes

from benchmarks.encode_phantom import Phantom
from dicom_ai_node.encoders import encode as encoders
from tests.encoders.made import run

Row = dict[str, Any]
_spawn = multiprocessing.get_context("spawn")


def measured(name: str, phantom: Phantom, few: Phantom) -> list[Row]:
    """`few` is for what comes once in a process: imports, and tables of the standard."""
    if name == "dcmqi":
        return _dcmqi(phantom)
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_in_process, args=(name, phantom, few, theirs))
    process.start()
    rows: list[Row] = ours.recv()
    process.join()
    return rows


def _in_process(name: str, phantom: Phantom, few: Phantom, pipe: Connection) -> None:
    WRITERS[name](few)
    pipe.send(WRITERS[name](phantom))


def _node(phantom: Phantom) -> list[Row]:
    headers, result = phantom.headers(), phantom.result()
    spent: list[tuple[float, float]] = []
    encode_sr = encoders.encode_sr  # type: ignore[attr-defined]
    encoders.encode_sr = _timed(encode_sr, spent)  # type: ignore[attr-defined]
    wall, cpu = time.perf_counter(), time.process_time()
    (_, seg, _), (_, sr, _) = encoders.encode(result, headers, run(), ("seg", "sr"))
    seg.save_as(path := phantom.folder / "node.dcm", enforce_file_format=True)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    encoders.encode_sr = encode_sr  # type: ignore[attr-defined]
    ((report_s, report_cpu_s),) = spent
    row = _row("node", phantom, path, wall - report_s, cpu - report_cpu_s)
    wall, cpu = time.perf_counter(), time.process_time()
    sr.save_as(path := phantom.folder / "report.dcm", enforce_file_format=True)
    report_s += time.perf_counter() - wall
    report_cpu_s += time.process_time() - cpu
    return [row, _row("node, report", phantom, path, report_s, report_cpu_s)]


def _timed(function: Callable[..., Any], spent: list[tuple[float, float]]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        returned = function(*arguments)
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
        return returned

    return call


def _highdicom(phantom: Phantom) -> list[Row]:
    """As its documentation does it: the mask as an array on images in order."""
    headers = sorted(phantom.headers(), key=lambda ds: float(ds.ImagePositionPatient[2]))
    mask = phantom.mask()
    wall, cpu = time.perf_counter(), time.process_time()
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"Organ {number}",
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Lung,
            algorithm_type="AUTOMATIC",
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name="Ellipsoids", version="1", family=codes.DCM.ArtificialIntelligence
            ),
        )
        for number in range(1, phantom.segments + 1)
    ]
    seg = hd.seg.Segmentation(
        source_images=headers,
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="x",
        device_serial_number="x",
    )
    seg.save_as(path := phantom.folder / "highdicom.dcm", enforce_file_format=True)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return [_row("highdicom", phantom, path, wall, cpu)]


def _dcmqi(phantom: Phantom) -> list[Row]:
    folder, path = phantom.folder, phantom.folder / "dcmqi.dcm"
    (program,) = (
        each for each in files("dcmqi") or () if each.parts == ("dcmqi", "bin", "itkimage2segimage")
    )
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            *(program.locate(), "--inputDICOMDirectory", phantom.series),
            *("--inputImageList", folder / "mask.nrrd", "--inputMetadata", folder / "mask.json"),
            *("--outputDICOM", path),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0.0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, _peak_mib(process.pid))
        time.sleep(0.01)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    assert status == 0, "itkimage2segimage failed"
    row = _row("dcmqi", phantom, path, wall, usage.ru_utime + usage.ru_stime)
    return [{**row, "peak_mib": peak}]


def _peak_mib(process: int | str = "self") -> float:
    """ru_maxrss begins with the parent's; 0 of a process that has just ended."""
    status = Path(f"/proc/{process}/status").read_text()
    _, _, peak = status.partition("VmHWM:")
    return int(peak.split()[0]) / 1024 if peak else 0.0


def _row(writer: str, phantom: Phantom, path: Path, wall: float, cpu: float) -> Row:
    ds = pydicom.dcmread(path, specific_tags=["NumberOfFrames"], stop_before_pixels=True)
    return {
        "segments": phantom.segments,
        "writer": writer,
        "frames": int(ds.get("NumberOfFrames") or 0),
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_mib": _peak_mib(),
        "bytes": path.stat().st_size,
    }


WRITERS: dict[str, Callable[[Phantom], list[Row]]] = {
    "node": _node,
    "highdicom": _highdicom,
    "dcmqi": _dcmqi,
}
