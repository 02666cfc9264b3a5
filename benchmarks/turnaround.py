"""How long a study takes from its last acknowledged instance to its last result at the PACS.

    python -m benchmarks.turnaround [--study DIR] [--evidence] [--case NAME]

Two studies go down the whole road, one after the other, three times each: a head MR through
brain-mr (DIR, or the demo's head), and a phantom CT of 300 slices through a model that costs
nothing. Overhead is everything but the quiet time and the model's own `predict`. With --evidence
there is no quiet time: the PACS is asked how many images the study has, and `complete` is what that
takes.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind
from rich.console import Console
from rich.table import Table

from dicom_ai_node.peers.association import leave_answers
from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess

QUIET_S = 1.0
STAGES = ("complete", "queued", "load", "predict", "encode", "publish", "deliver")


@dataclass
class Pacs:
    """Remembers when each object came, and knows how many images it has sent of a study."""

    times: list[float] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    sent: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # series, modality, images

    def start(self) -> int:
        ae = AE("PACS")
        ae.supported_contexts = AllStoragePresentationContexts
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        return int(server.server_address[1])

    def _store(self, _event: evt.Event) -> int:
        self.times.append(time.time())
        if len(self.times) == 2:
            self.arrived.set()
        return 0x0000

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        asked = event.identifier
        series, modality, images = self.sent[asked.StudyInstanceUID]
        ds = Dataset()
        ds.QueryRetrieveLevel = "SERIES"
        ds.StudyInstanceUID = asked.StudyInstanceUID
        ds.SeriesInstanceUID, ds.Modality = series, modality
        ds.NumberOfSeriesRelatedInstances = images
        yield 0xFF00, ds

    def wait(self) -> float:
        """When SEG and SR were both there."""
        assert self.arrived.wait(timeout=300), "no result within 300 s"
        last = max(self.times)
        self.times.clear()
        self.arrived.clear()
        return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, help="a folder with one head MR series")
    parser.add_argument("--models", type=Path, default=Path("models"), help="the model store")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evidence", action="store_true", help="close by counts of the PACS")
    parser.add_argument("--case", default="", help="only those whose name has this in it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    head = arguments.study or Path("var/demo/head")
    quiet_s = 0.0 if arguments.evidence else QUIET_S
    cases = {
        "head MR, brain-mr": (arguments.models, "brain-mr", "MR", lambda: _read(head)),
        "CT 300 × 512², threshold-ct": (
            arguments.models,
            "threshold-ct",
            "CT",
            lambda: dicom_factory.series(
                name="bench", shape=(300, 512, 512), spacing=(1.0, 0.8, 0.8)
            ),
        ),
    }
    rows = []
    for name, (store, model, modality, read) in cases.items():
        if arguments.case not in name:
            continue
        series = read()
        with tempfile.TemporaryDirectory() as folder:
            pacs = Pacs()
            node = _node(Path(folder) / "node", store, model, modality, pacs.start())
            if arguments.evidence:
                _close_by_evidence(node)
            node.start()
            time.sleep(15)  # weights are warm, as on any node that has been up for a while
            try:
                rounds = [_round(node, pacs, series, quiet_s) for _ in range(arguments.rounds)]
            finally:
                node.stop()
        rows.append({"case": name, "instances": len(series), **_median(rounds)})
    _print(rows, quiet_s, as_json=arguments.json)


def _read(folder: Path) -> list[Dataset]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise SystemExit(
            f"{folder} holds no files: run `dicom-ai-node demo` first, or give --study"
        )
    return [pydicom.dcmread(path) for path in files]


def _node(home: Path, models: Path, model: str, modality: str, port: int) -> NodeProcess:
    peer = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
    condition = {"attr": "Modality", "op": "eq", "value": modality}
    route = {"model": model, "send_to": ["pacs"], "require": [condition]}
    return NodeProcess(home, models=models.absolute(), peers={"pacs": peer}, routes=[route])


def _close_by_evidence(node: NodeProcess) -> None:
    """Nothing else can close a study within ten minutes."""
    file = node.config / "node.yaml"
    settings = json.loads(file.read_text())
    settings["study"]["quiet_s"] = 600
    for entry in settings["accept"]:
        entry["complete"] = {"ask": "pacs", "final": True}
    file.write_text(json.dumps(settings))


def _round(
    node: NodeProcess, pacs: Pacs, series: Sequence[Dataset], quiet_s: float
) -> dict[str, float]:
    """The same pixels as a new study each time."""
    study, of_series = generate_uid(), generate_uid()
    pacs.sent[study] = of_series, series[0].Modality, len(series)
    ae = AE("PACS")
    ae.add_requested_context(series[0].SOPClassUID, series[0].file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", node.port, ae_title="AI_NODE")
    leave_answers(association)
    began = time.time()
    for ds in series:
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, of_series
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        assert association.send_c_store(ds).Status == 0x0000
    acknowledged = time.time()
    association.release()
    stored = pacs.wait()
    node.wait(lambda: node.status()["jobs"]["ready"] == 0)
    found = _stages(node, study, began, acknowledged, stored)
    found["overhead"] = found["total"] - quiet_s - found["predict"]
    return found


def _stages(
    node: NodeProcess, study: str, began: float, acknowledged: float, stored: float
) -> dict[str, float]:
    shown = node.verb("studies", "show", study)
    job = node.verb("jobs", "show", str(shown["jobs"][0]["id"]))
    at = {event["to_state"]: event["at"] for event in job["events"]}
    timings = job["timings"]
    model_s = timings["load"] + timings["predict"] + timings["encode"]
    return {
        "receive": acknowledged - began,
        "complete": at["queued"] - acknowledged,
        "queued": at["running"] - at["queued"],
        "load": timings["load"],
        "predict": timings["predict"],
        "encode": timings["encode"],
        "publish": at["ready"] - at["running"] - model_s,
        "deliver": stored - at["ready"],
        "total": stored - acknowledged,
    }


def _median(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(each[key] for each in rounds), 3) for key in rounds[0]}


def _print(rows: Sequence[dict[str, Any]], quiet_s: float, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    columns = ("case", "instances", "receive", *STAGES, "total", "overhead")
    how = f"quiet time {quiet_s:g} s is within `complete`" if quiet_s else "closed by evidence"
    table = Table(*columns, title=f"Seconds, medians; {how}")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
