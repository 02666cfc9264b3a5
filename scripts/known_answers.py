"""Write the known answers of the built-in models: `python -m scripts.known_answers STORE`.

The bodies are drawn (scripts/synthetic_bodies.py), so that they can be shipped. What is expected of
lung-ct is what was drawn; of the networks, what they answered when this was written.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.config.store import find
from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import CATALOGUE
from dicom_ai_node.result import Result
from scripts.synthetic_bodies import Body, head, radiograph, thorax

Case = Mapping[str, Any]

TOLERANCE = {"mL": 0.01, "cm2": 0.02, "[hnsf'U]": 0.01, "%": 0.05}  # of the value
LEAST = {"mL": 1.0, "cm2": 1.0, "[hnsf'U]": 1.0, "%": 0.1}


def volume_case(body: Body, modality: str, body_part: str) -> Case:
    slices_first = np.ascontiguousarray(body.array.transpose(2, 1, 0))
    affine = body.affine[:, [2, 1, 0, 3]]
    return {"array": slices_first, "affine": affine, "modality": modality, "body_part": body_part}


CASES: Mapping[str, Callable[[], Case]] = {
    "brain-mr": lambda: volume_case(head(), "MR", "HEAD"),
    "lung-ct": lambda: volume_case(thorax(), "CT", "CHEST"),
    "lung-cxr": lambda: {
        "array": radiograph(),
        "pixel_spacing": np.array([1.25, 1.25]),
        "modality": "DX",
        "body_part": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": np.array(["L", "F"]),
    },
}


def input_of(case: Case) -> ModelInput:
    ds = Dataset()
    ds.SOPInstanceUID = "1.2.3"
    ds.Modality, ds.BodyPartExamined = str(case["modality"]), str(case["body_part"])
    array = np.asarray(case["array"], np.float32)
    if "affine" in case:
        return ModelInput(headers=[ds], volume=hd.Volume(array, case["affine"], "PATIENT"))
    ds.ViewPosition = str(case["ViewPosition"])
    ds.PatientOrientation = [str(each) for each in case["PatientOrientation"]]
    rows, columns = (float(each) for each in case["pixel_spacing"])
    image = ProjectionImage(
        array=array, sop_instance_uid=ds.SOPInstanceUID, pixel_spacing=(rows, columns)
    )
    return ModelInput(headers=[ds], images=(image,))


def expected(result: Result) -> dict[str, Any]:
    return {
        "outcome": str(result.outcome),
        "measurements": [
            {
                "finding": finding.tracking_identifier,
                "name": each.name.meaning,
                "value": each.value,
                "tolerance": round(
                    max(LEAST[each.unit.value], TOLERANCE[each.unit.value] * abs(each.value)), 2
                ),
            }
            for finding in result.findings
            for each in finding.measurements
        ],
        "probabilities": [],
    }


def write(name: str, store: Path) -> None:
    case = CASES[name]()
    result = open_model(find(store, name)).predict(input_of(case))
    folder = CATALOGUE / name / "known_answer"
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "case.npz", **case)
    (folder / "expected.json").write_text(json.dumps(expected(result), indent=1) + "\n")
    sys.stdout.write(f"{name}: {expected(result)}\n")


if __name__ == "__main__":
    for each in CASES:
        write(each, Path(sys.argv[1]))
