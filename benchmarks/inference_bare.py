"""What a model's author would write: read a folder, predict, write a SEG; none of this node's care
for what may be wrong with a study."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers.inferer import SlidingWindowInferer
from monai.transforms import AsDiscrete, Compose, NormalizeIntensity, Orientation
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from benchmarks.inference_windows import WINDOW, unet
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import BuiltInPackage
from dicom_ai_node.input import ModelInput

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
Mask = np.ndarray[Any, np.dtype[np.uint8]]


def bare(study: Path, model: InstalledModel) -> Callable[[Path], None]:
    """Loads the weights; the answer is called for one study after another."""
    is_built_in = isinstance(model.package, BuiltInPackage)
    predict = _built_in(model) if is_built_in else _unet()

    def run(folder: Path) -> None:
        sources = [pydicom.dcmread(path) for path in study.iterdir()]
        volume = hd.get_volume_from_series(sources).astype(np.float32)
        mask = predict(volume, sources)
        _write(volume.with_array(mask), sources, folder / "seg.dcm")

    return run


def _unet() -> Callable[[hd.Volume, list[Dataset]], Mask]:
    network = unet()
    before = Compose([Orientation("RAS", labels=None), NormalizeIntensity()])
    inferer = SlidingWindowInferer(WINDOW, 1, overlap=0.25, mode="gaussian")
    discrete = AsDiscrete(argmax=True)

    def predict(volume: hd.Volume, _sources: list[Dataset]) -> Mask:
        image = MetaTensor(torch.from_numpy(volume.array)[None], affine=RAS_LPS @ volume.affine)
        prepared = before(image)
        with torch.inference_mode():
            answer = inferer(prepared.as_tensor()[None], network)[0]
        labels = MetaTensor(discrete(answer), affine=prepared.affine)
        labels.applied_operations = prepared.applied_operations
        mask: Mask = before.inverse(labels)[0].numpy().astype(np.uint8)
        return mask

    return predict


def _built_in(model: InstalledModel) -> Callable[[hd.Volume, list[Dataset]], Mask]:
    """The node's own pipeline is that of its authors."""
    from dicom_ai_node.models.built_in.open import open_built_in

    assert isinstance(model.package, BuiltInPackage)
    opened = open_built_in(model, model.package)

    def predict(volume: hd.Volume, sources: list[Dataset]) -> Mask:
        found = opened.predict(ModelInput(headers=sources, volume=volume))
        mask: Mask = found.masks[0].array
        return mask

    return predict


def _write(mask: hd.Volume, sources: list[Dataset], path: Path) -> None:
    algorithm = hd.AlgorithmIdentificationSequence(
        name="bare", version="1", family=Code("123109", "DCM", "Artificial Intelligence")
    )
    segments = [
        hd.seg.SegmentDescription(
            segment_number=int(number),
            segment_label=f"Segment {number}",
            segmented_property_category=Code("123037004", "SCT", "Anatomical Structure"),
            segmented_property_type=Code("12738006", "SCT", "Brain"),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number in range(1, int(mask.array.max()) + 1)
    ]
    seg = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=mask,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=100,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="bare",
        manufacturer_model_name="bare",
        software_versions="1",
        device_serial_number="1",
    )
    seg.save_as(path, enforce_file_format=True)
