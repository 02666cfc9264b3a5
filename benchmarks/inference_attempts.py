"""A study read, predicted and encoded: by a bare script, and by this node's engine.

Each way lives in a spawned process of its own, and they take turns.
"""

import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from safetensors.torch import save as safetensors_bytes

from benchmarks.inference_bare import bare
from benchmarks.inference_windows import ARGUMENTS, package, unet
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.store import installed
from dicom_ai_node.engines.engine import Failure
from dicom_ai_node.engines.local import LocalEngine
from dicom_ai_node.folder import series_of
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.installation.install import install_folder
from dicom_ai_node.request import Request
from tests import dicom_factory

_spawn = multiprocessing.get_context("spawn")
BARE, NODE = "bare script", "this node's worker"


@dataclass(frozen=True, kw_only=True)
class Case:
    what: str
    study: Path
    model: InstalledModel


def rows(
    scratch: Path,
    *,
    head: Path | None,
    chest: Path | None,
    store: Path,
    rounds: int,
    threads: int,
    wanted: str = "",
) -> list[dict[str, Any]]:
    there = {model.package.name: model for model in installed(store)} if store.is_dir() else {}
    head = head or _phantom(scratch / "head")
    cases = [
        Case(what=f"U-Net, backend {backend}", study=head, model=_unet(scratch, backend))
        for backend in ("torch", "auto")
    ]
    for name, study in (("brain-mr", head), ("lung-ct", chest)):
        if name in there and study is not None:
            cases.append(Case(what=name, study=study, model=there[name]))
    return [row for case in cases if wanted in case.what for row in _case(case, rounds, threads)]


def _case(case: Case, rounds: int, threads: int) -> list[dict[str, Any]]:
    """One process after the other starts cold; then all are warm, and take turns."""
    processes = {way: Process(way, case, threads) for way in (BARE, NODE)}
    try:
        cold = {way: process.first() for way, process in processes.items()}
        took: dict[str, list[float]] = {way: [] for way in processes}
        for _ in range(rounds):
            for way, process in processes.items():
                took[way].append(process.again())
        memory = {way: process.end() for way, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    pairs = zip(took[NODE], took[BARE], strict=True)
    ratios = {BARE: 1.0, NODE: statistics.median(node / base for node, base in pairs)}
    return [
        {
            "what": case.what,
            "how": way,
            "seconds": statistics.median(took[way]),
            "ratio": ratios[way],
            "note": f"cold {cold[way]:.1f} s; peak {memory[way]} MB"
            f" ({memory[way] / memory[BARE]:.2f} ×)",
        }
        for way in processes
    ]


class Process:
    """Started by the first question, which waits for imports and weights as well."""

    def __init__(self, way: str, case: Case, threads: int) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(theirs, way, case, threads))

    def first(self) -> float:
        began = time.perf_counter()
        self._process.start()
        self.again()
        return time.perf_counter() - began

    def again(self) -> float:
        self._pipe.send("run")
        took: float = self._pipe.recv()
        return took

    def end(self) -> int:
        """The most memory that it ever held, in MB."""
        self._pipe.send("end")
        peak: int = self._pipe.recv()
        self._process.join()
        return peak

    def kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()


def _serve(pipe: Connection, way: str, case: Case, threads: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        run, peak_mb = (_bare if way == BARE else _attempt)(case, threads, Path(home))
        while pipe.recv() == "run":
            with tempfile.TemporaryDirectory(dir=home) as folder:
                began = time.perf_counter()
                run(Path(folder))
                pipe.send(time.perf_counter() - began)
        pipe.send(peak_mb())


Ways = tuple[Callable[[Path], None], Callable[[], int]]  # what is timed; the most memory, in MB


def _bare(case: Case, threads: int, _home: Path) -> Ways:
    import torch

    torch.set_num_threads(threads)
    return bare(case.study, case.model), lambda: _peak_mb(os.getpid())


def _attempt(case: Case, threads: int, home: Path) -> Ways:
    """The engine that `work` has, with its fenced process, from a request to its report."""
    (series,) = series_of(case.study)  # which the node knows from its database
    engine = LocalEngine(
        threads=threads,
        readable=[case.model.folder, case.study],
        home=home,
        preload=[case.model],
    )
    engine.start()

    def run(folder: Path) -> None:
        inputs = {case.model.package.inputs[0]: series.instances}
        request = Request(job_key="k", model=case.model, inputs=inputs, folder=folder / "attempt")
        attempt = engine.submit(request)
        while (report := attempt.poll(1)) is None:
            pass
        assert not isinstance(report, Failure), report
        assert report.outcome in (Outcome.FINDINGS, Outcome.NONE), report.reason

    return run, lambda: _peak_mb(engine.pids()[0])


def _peak_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _unet(scratch: Path, backend: str) -> InstalledModel:
    """With weights of no training: what it marks is noise, and as costly."""
    source = scratch / f"unet-{backend}"
    source.mkdir(parents=True)
    network = {"name": "UNet", "arguments": ARGUMENTS}
    described = package(backend).model_dump(mode="json") | {
        "name": f"unet-{backend}",
        "kind": "torch",
        "network": network,
        "weights": {"file": "weights.safetensors"},
        "preprocess": [
            {"name": "Orientation", "axcodes": "RAS"},
            {"name": "NormalizeIntensity"},
        ],
        "outputs": [
            {
                "task": "segmentation",
                "postprocess": [{"name": "AsDiscrete", "argmax": True}],
            }
        ],
    }
    (source / "model.yaml").write_text(json.dumps(described))
    (source / "weights.safetensors").write_bytes(safetensors_bytes(unet().state_dict()))
    return install_folder(source, scratch / "store")


def _phantom(folder: Path) -> Path:
    folder.mkdir()
    shape, spacing = (160, 192, 160), (1.0, 1.0, 1.0)
    for ds in dicom_factory.series(name="head", modality="MR", shape=shape, spacing=spacing):
        ds.save_as(folder / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
    return folder
