"""What rules may ask of a series beyond its attributes, computed over all of its instances."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from dicom_ai_node.header import compressed_with_loss
from dicom_ai_node.routing import planes
from dicom_ai_node.routing.planes import Planes
from dicom_ai_node.study import Described, Values

KEYWORDS = planes.KEYWORDS | {
    "Rows",
    "Columns",
    "FrameOfReferenceUID",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "SeriesDescription",
    "LossyImageCompression",
    "PatientAge",
    "PatientBirthDate",
    "StudyDate",
}
_EVEN = 0.02  # of the usual gap, as where slices are put together (stack.SPACING_RTOL)

_DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}  # PS3.5 6.2, Age String
_WITHOUT = re.compile(
    r"\bw/?o\b|\b(without|ohne|plain|nativ\w*|un-?enhanced|non?[- ]?(contrast|enhanced|ce))\b"
    r"|\bpre[- ]?(contrast|gd|gado\w*|km)\b",
    re.IGNORECASE,
)
_WITH = re.compile(
    r"\+ ?(c|gd|km)\b|\b(c\+|ce\b|gd\b|gado\w*|km\b|contrast|enhanced|post\b(?! ?-?op)|postgd)"
    r"|\b(arterial|portal|venous|portovenous|delayed)\b",
    re.IGNORECASE,
)


def facts_of(members: Sequence[Described]) -> dict[str, Values]:
    """By name, without `$`; a fact that cannot be told is absent (`missing` to a rule)."""
    headers = [header for _, header in members]
    frames = [_frames(header) for header in headers]
    found: dict[str, Values] = {
        "instances": (len(members),),
        "frames": (sum(frames),),
        "transfer_syntaxes": tuple(sorted({each.transfer_syntax_uid for each, _ in members})),
        "lossy": (any(_lossy(each) for each in members),),
        "matrices": _count(headers, "Rows", "Columns"),
        "frames_of_reference": _count(headers, "FrameOfReferenceUID"),
        "kernel": tuple(
            sorted({str(v) for each in headers for v in each.get("ConvolutionKernel", ())})
        ),
        "contrast": _contrast(headers),
        "age": _age(headers),
    }
    lying = planes.planes_of(headers)
    if lying is not None:
        found |= _geometry(lying)
    return {name: values for name, values in found.items() if values}


def _geometry(lying: Planes) -> dict[str, Values]:
    orientations = int(planes.orientation_labels(lying).max()) + 1
    if orientations > 1:
        return {"orientations": (orientations,)}  # what follows would be of none of them
    along = lying.along()
    numbers = planes.distinct(along)
    repeats = np.bincount(numbers)
    found: dict[str, Values] = {
        "orientations": (1,),
        "plane": (planes.plane_name(lying.normals()[0]),),
        "coverage_mm": (round(float(np.ptp(along)), 2),),
        "duplicates": (int((repeats > 1).sum()),),
        "phases": (int(repeats.max()),),
    }
    if len(repeats) > 1:
        gaps = np.diff(along[np.unique(numbers, return_index=True)[1]])
        usual = float(np.median(gaps))
        even = float(np.abs(gaps - usual).max()) <= _EVEN * usual
        found["spacing"] = (round(usual, 4),)
        found["regular"] = (even and len(repeats) == len(along),)
        within = lying.positions @ lying.orientations[0].reshape(2, 3).T
        found["shear_mm"] = (round(float(np.ptp(within, axis=0).max()), 2),)
    return found


def _frames(header: Mapping[str, Values]) -> int:
    """NumberOfFrames; one where it is absent or no number."""
    (first, *_) = header.get("NumberOfFrames", (1,))
    return first if isinstance(first, int) else 1


def _count(headers: Sequence[Mapping[str, Values]], *keywords: str) -> Values:
    """How many different values there are; absent ones count as one, all absent as none."""
    found = {tuple(header.get(keyword) for keyword in keywords) for header in headers}
    return () if found == {(None,) * len(keywords)} else (len(found),)


def _lossy(member: Described) -> bool:
    instance, header = member
    said = header.get("LossyImageCompression", ("",))[0]
    return compressed_with_loss(said, instance.transfer_syntax_uid)


def _contrast(headers: Sequence[Mapping[str, Values]]) -> Values:
    """True or False where the agent or the description says so: silence is neither."""
    agents = {str(v) for header in headers for v in header.get("ContrastBolusAgent", ())}
    words = {str(v) for header in headers for v in header.get("SeriesDescription", ())}
    text = " ".join(sorted(words)).replace("_", " ")
    if any(agent.strip().upper() not in ("NO", "NONE", "WITHOUT") for agent in agents):
        return (True,)
    if agents or _WITHOUT.search(text):
        return (False,)
    return (True,) if _WITH.search(text) else ()


def _age(headers: Sequence[Mapping[str, Values]]) -> Values:
    """Years of the patient, as said, or from birth to study; nothing where they disagree."""
    ages = {_years(header) for header in headers}
    years = ages.pop()
    return () if ages or years is None else (years,)


def _years(header: Mapping[str, Values]) -> float | None:
    said = re.fullmatch(r"(\d{3})([DWMY])", str(header.get("PatientAge", ("",))[0]))
    if said and said[0] != "000Y":  # written where the age is not known
        return round(int(said[1]) * _DAYS[said[2]] / _DAYS["Y"], 2)
    born, studied = (day_of(header, keyword) for keyword in ("PatientBirthDate", "StudyDate"))
    if born is None or studied is None or studied < born:
        return None
    return math.floor((studied - born).days / _DAYS["Y"] * 100) / 100


def day_of(header: Mapping[str, Values], keyword: str) -> date | None:
    """The one date of an attribute (DA, YYYYMMDD)."""
    values = {str(value) for value in header.get(keyword, ())}
    if len(values) != 1:
        return None
    try:
        return date.fromisoformat(values.pop().strip())
    except ValueError:
        return None
