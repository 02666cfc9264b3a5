"""Whether images are those that a model was made for; refusals are sentences for radiologists."""

import math
from collections.abc import Iterator, Sequence
from datetime import date

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.config.gate import InputGate
from dicom_ai_node.config.package import Package
from dicom_ai_node.header import compressed_with_loss
from dicom_ai_node.input import ModelInput

_MAX_CS = 16  # characters of a DICOM code string; what is longer is not one, and is not repeated
_AXES = "LPH"  # of the patient, in the order of `extent_mm`
_WAYS = ("from right to left", "from front to back", "from foot to head")
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.25}
_SAMPLE = 1 << 18  # voxels are enough for a percentile


def unsuitable(data: ModelInput, package: Package) -> str | None:
    """Why these images are not for this model, or None; what headers leave out passes."""
    return next(_reasons(data, package), None)


def _reasons(data: ModelInput, package: Package) -> Iterator[str]:
    gate, name = package.gate, package.name
    yield from _kind(data.headers, gate, name)
    yield from _age(data.headers, gate, name)
    if data.volume is not None:
        yield from _geometry(data.volume, gate, name)
        yield from _spacing(data.volume.spacing, gate, name)
        yield from _intensities(data.volume.array, gate, name)
        return
    for image in data.images:
        yield from _spacing(image.pixel_spacing or (), gate, name)
        yield from _intensities(image.array, gate, name)


def _kind(headers: Sequence[Dataset], gate: InputGate, name: str) -> Iterator[str]:
    modalities = _values(headers, "Modality")
    if gate.modality and not modalities:
        made_for = _either(gate.modality)
        yield f"The images do not say their modality; {name} is made for {made_for}."
    for found, allowed, sentence in (
        (modalities, gate.modality, "This is {}; {} is made for {}."),
        (
            _values(headers, "BodyPartExamined"),
            gate.body_part,
            "The body part is {}; {} is made for {}.",
        ),
    ):
        others = found - {each.upper() for each in allowed}
        if allowed and others:
            yield sentence.format(" and ".join(sorted(others)), name, _either(allowed))
    if not gate.accept_lossy and any(_lossy(ds) for ds in headers):
        yield (
            "The images were compressed with loss (LossyImageCompression, or their transfer "
            f"syntax); {name} is made for lossless ones."
        )


def _age(headers: Sequence[Dataset], gate: InputGate, name: str) -> Iterator[str]:
    """The sentence holds the model's limit, not the patient's age."""
    if gate.age_years is None:
        return
    low, high = gate.age_years
    for age in {age for ds in headers if (age := _years(ds)) is not None}:
        if age < low:
            yield f"The patient is younger than {low:g} years; {name} is made for older ones."
        if age >= high + 1:
            yield f"The patient is older than {high:g} years; {name} is made for younger ones."


def _geometry(volume: hd.Volume, gate: InputGate, name: str) -> Iterator[str]:
    if gate.slices is not None:
        count, (least, most) = volume.spatial_shape[0], gate.slices
        if not least <= count <= most:
            images = "image" if count == 1 else "images"
            yield f"The series has {count} {images}; {name} needs {least} to {most}."
    if gate.extent_mm is not None:
        for extent, wanted, way in zip(extent_mm(volume), gate.extent_mm, _WAYS, strict=True):
            if extent < wanted:
                yield f"Only {extent:.0f} mm were scanned {way}; {name} needs {wanted:g} mm."


def _spacing(spacing_mm: Sequence[float], gate: InputGate, name: str) -> Iterator[str]:
    low, high = gate.spacing_mm or (0, math.inf)
    for spacing in spacing_mm:
        if not low <= spacing <= high:
            yield f"Voxels are {spacing:.2g} mm apart; {name} is made for {low:g} to {high:g} mm."


def extent_mm(volume: hd.Volume) -> tuple[float, float, float]:
    """Of the scan from right to left, front to back, foot to head.

    Oblique axes count as the patient's axis that they are nearest to.
    """
    turned = volume.to_patient_orientation(_AXES)
    x, y, z = (
        float(count * spacing)
        for count, spacing in zip(turned.spatial_shape, turned.spacing, strict=True)
    )
    return x, y, z


def _intensities(array: NDArray[np.float32], gate: InputGate, name: str) -> Iterator[str]:
    if not gate.intensities:
        return
    values = sampled(array)
    for limit in gate.intensities:
        low, high = limit.between
        value = float(np.nanpercentile(values, limit.percentile))
        if not low <= value <= high:
            yield (
                f"The images are too {'bright' if value > high else 'dark'}, or of other units: "
                f"{limit.percentile:g} % of the voxels lie below {value:.4g}, and {name} is made "
                f"for {low:g} to {high:g}."
            )


def sampled(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """About a quarter of a million values, evenly from everywhere."""
    step = max(1, int(np.ceil((array.size / _SAMPLE) ** (1 / array.ndim))))
    return array[(slice(None, None, step),) * array.ndim]


def _years(ds: Dataset) -> float | None:
    """By PatientAge, else by the dates; 000Y is what anonymisers write, and says nothing."""
    age = str(ds.get("PatientAge") or "").strip().upper()
    if len(age) == 4 and age[:3].isdecimal() and age[3] in _DAYS:  # VR AS
        return None if age == "000Y" else int(age[:3]) * _DAYS[age[3]] / _DAYS["Y"]
    try:
        born, seen = (
            date.fromisoformat(str(ds.get(keyword) or ""))
            for keyword in ("PatientBirthDate", "StudyDate")
        )
    except ValueError:
        return None
    # years differ in length: on a birthday the days alone may be one short
    birthdays = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
    years = min(max((seen - born).days / _DAYS["Y"], birthdays), birthdays + 0.999)
    return years if born <= seen else None


def _values(headers: Sequence[Dataset], keyword: str) -> set[str]:
    """Upper case, without repeats; what is absent or empty does not count."""
    values = {str(ds.get(keyword) or "").strip().upper()[:_MAX_CS] for ds in headers}
    return values - {""}


def _lossy(ds: Dataset) -> bool:
    meta = getattr(ds, "file_meta", {})
    return compressed_with_loss(ds.get("LossyImageCompression"), meta.get("TransferSyntaxUID"))


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
