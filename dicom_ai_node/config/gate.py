"""What stands around a model: the input that it was made for, the answers that can be believed."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from dicom_ai_node.config.strict import Strict


def _ordered(between: tuple[float, float]) -> tuple[float, float]:
    if between[0] > between[1]:
        raise ValueError("a range is [least, most]")
    return between


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Least = Annotated[float, Field(ge=0)]


class Percentile(Strict):
    """The value (modality units) below which `percentile` % of the voxels lie, and where it may."""

    percentile: Annotated[float, Field(ge=0, le=100)]
    between: Range


class InputGate(Strict):
    """What the model was made for; anything else is `not_suitable` before inference.

    What the headers leave out (BodyPartExamined, PatientAge) passes, since many scanners leave it
    out. Images that were ever compressed with loss pass only where the model is known to bear it.
    `statistics` is a file of the package (`models/likeness.py`) that says which images it knows.
    """

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    accept_lossy: bool = False
    age_years: Range | None = None
    # of a volume: least mm that were scanned from right to left, front to back, foot to head
    extent_mm: tuple[Least, Least, Least] | None = None
    spacing_mm: Range | None = None  # along each axis
    slices: tuple[int, int] | None = None
    intensities: tuple[Percentile, ...] = ()  # of the first input
    statistics: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*\.json$")] | None = None


class Plausible(Strict):
    """A segment that lies outside is not believed: the answer is `not_suitable`.

    By its volume (mL), or by the part of all voxels or pixels (%) that it covers.
    """

    segment: Annotated[int, Field(ge=1, le=255)]
    between_ml: Range | None = None
    between_percent: Range | None = None

    @model_validator(mode="after")
    def _has_one_range(self) -> "Plausible":
        if (self.between_ml is None) == (self.between_percent is None):
            raise ValueError("give between_ml or between_percent, one of them")
        return self
