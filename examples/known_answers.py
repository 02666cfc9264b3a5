"""Write the known-answer case of each demonstration: a coarse head with lesions drawn into it.

    python -m examples.known_answers [--downloads DIR]

The places and the outcome come from what was drawn, and only the probabilities from the network.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from rich.console import Console

from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import CATALOGUE, install_folder
from dicom_ai_node.result import Result
from examples.cases import centers
from examples.lesions import Lesion, drawn
from examples.networks import CLASSIFICATION, DETECTION
from examples.sources import DOWNLOADS, HELD_OUT, Head, given, read_head

Place = tuple[float, float, float]
# LPS mm, in white matter of the held-out head; half axes in mm
PLACES = {
    DETECTION: ((28.0, 30.0, 28.0), (-26.0, -34.0, 24.0)),
    CLASSIFICATION: ((28.0, 20.0, 26.0),),
}
HALF_AXES = {DETECTION: (7.0, 6.0, 7.5), CLASSIFICATION: (13.0, 11.0, 12.0)}
BRIGHTNESS = 2.7
TOLERANCE = 0.05  # of a probability: other processors and backends round in their own ways
PLACE_MM = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--downloads", type=Path, default=DOWNLOADS)
    asked = parser.parse_args()
    ((name, source),) = HELD_OUT.items()
    head = read_head(name, source, asked.downloads, Console().print)
    for model in (DETECTION, CLASSIFICATION):
        volume = case_volume(head, model)
        folder = CATALOGUE / model / "known_answer"
        folder.mkdir(exist_ok=True)
        write_case(volume, folder / "case.npz")
        with tempfile.TemporaryDirectory() as store:
            result = open_model(install_folder(CATALOGUE / model, Path(store))).predict(
                given(volume)
            )
        wanted = json.dumps(expected(result, PLACES[model]), indent=1)
        (folder / "expected.json").write_text(wanted + "\n")


def case_volume(head: Head, model: str) -> hd.Volume:
    """Axial slices; every second voxel along each axis, so that the file stays small."""
    coarse = head.volume.to_patient_orientation("HPL")[::2, ::2, ::2]
    lesions = [
        Lesion(
            center=np.array(place),
            half_axes=np.diag(HALF_AXES[model]),
            value=head.level * BRIGHTNESS,
        )
        for place in PLACES[model]
    ]
    volume = drawn(coarse, lesions)
    return volume.with_array(np.round(volume.array))


def write_case(volume: hd.Volume, path: Path) -> None:
    np.savez_compressed(
        path,
        array=volume.array.astype(np.int16),
        affine=np.asarray(volume.affine, np.float64),
        modality=np.asarray("MR"),
        body_part=np.asarray("HEAD"),
    )


def expected(result: Result, drawn_at: Sequence[Place]) -> dict[str, Any]:
    """As `models verify` reads it."""
    said = [
        {"finding": each.tracking_identifier, "value": round(each.probability or 0, 3)}
        for each in result.findings
    ]
    places = list(drawn_at) if centers(result) else []
    return {
        "outcome": "findings",
        "findings": len(places) or 1,
        "probabilities": [{**each, "tolerance": TOLERANCE} for each in said],
        "places": [
            {
                "finding": result.findings[_nearest(result, place)].tracking_identifier,
                "center": place,
                "tolerance": PLACE_MM,
            }
            for place in places
        ],
    }


def _nearest(result: Result, place: Place) -> int:
    return int(np.argmin([np.linalg.norm(center - place) for center in centers(result)]))


if __name__ == "__main__":
    main()
