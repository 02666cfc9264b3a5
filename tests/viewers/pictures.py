"""The pictures of docs/viewers.md, made anew: `python -m tests.viewers.pictures STUDY`.

STUDY is a folder with a CT of a chest that may be shown. The result is that of lung-ct, and a box
that is set by hand.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom import Dataset

from dicom_ai_node.form import Kind
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.installation.install import install
from dicom_ai_node.predict import predict
from dicom_ai_node.result import BoxInImage, Finding, Result
from tests.encoders.made import Code
from tests.models_fixture import cache_folder
from tests.viewers import made
from tests.viewers.room import Room, open_room

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = Code("52988006", "SCT", "Lesion")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, default=DOCS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        source = [pydicom.dcmread(path) for path in sorted(given.study.iterdir())]
        results = _results(given.study, home / "results")
        box = made.objects_of("a box set by hand", _box(source), source).one(Kind.SR)
        with open_room(home / "room") as room:
            study = room.send(source, results, [box])
            _take(room, study, [*results, box], given.out)


def _results(study: Path, folder: Path) -> list[Dataset]:
    model = install("lung-ct", cache_folder() / "store", print)
    for _ in predict(study, model, folder):
        pass
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def _box(source: Sequence[Dataset]) -> Result:
    image = sorted(source, key=lambda ds: float(ds.ImagePositionPatient[2]))[len(source) // 2]
    rows, columns = int(image.Rows), int(image.Columns)
    region = BoxInImage(
        sop_instance_uid=image.SOPInstanceUID,
        low=(columns * 0.55, rows * 0.35),
        high=(columns * 0.7, rows * 0.5),
    )
    finding = Finding(tracking_identifier="Example", code=EXAMPLE, region=region, probability=0.93)
    return Result(outcome=Outcome.FINDINGS, findings=(finding,))


def _take(room: Room, study: str, objects: Sequence[Dataset], out: Path) -> None:
    """A picture is of what is painted, which nothing announces: hence the pauses."""
    ohif, page = room.ohif, room.page
    by_modality = {ds.Modality: ds for ds in objects[:-1]}
    seg, sr, summary, box = (*(by_modality[name] for name in ("SEG", "SR", "OT")), objects[-1])
    ohif.open_study(study, "segmentation")
    ohif.open_series(seg.SeriesDescription)
    ohif.segments(seg.SeriesDescription, len(seg.SegmentSequence))
    page.wait_for_timeout(10_000)
    page.screenshot(path=out / "ohif-seg.png")
    ohif.open_study(study)
    for ds, name in ((sr, "sr"), (box, "detection"), (summary, "summary")):
        ohif.open_series(ds.SeriesDescription)
        page.wait_for_timeout(10_000)
        page.screenshot(path=out / f"ohif-{name}.png")


if __name__ == "__main__":
    main()
