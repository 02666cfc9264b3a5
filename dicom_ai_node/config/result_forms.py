"""In which forms a peer is sent results: what its viewers show, and what they cannot."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from dicom_ai_node.config.strict import Strict
from dicom_ai_node.form import Form, Kind, ReportForm, Segmentation

Companion = Literal["summary", "key_images", "presentation", "key_objects", "pdf"]
Limit = Annotated[int, Field(ge=1)]


class ResultForms(Strict):
    """Two ladders, and what goes along: the first form that the peer takes is sent, no other.

    A form beyond a limit is passed over. Where none is within them, the report goes alone:
    [results.md](results.md).
    """

    segmentation: Annotated[tuple[Segmentation, ...], Field(min_length=1)] = (Segmentation.BINARY,)
    """How masks are sent, the first of these that the peer takes."""
    report: Annotated[tuple[ReportForm, ...], Field(min_length=1)] = (ReportForm.COMPREHENSIVE_3D,)
    """Which SOP class the report is of, the first of these that the peer takes."""
    also: tuple[Companion, ...] = ("summary",)
    """What goes along for viewers that show neither."""
    split_every: Limit | None = None
    """So many segments in one segmentation object, and the rest in further ones."""
    keep_empty_frames: bool = False
    """A frame for every slice, for viewers before OHIF 3."""
    max_segments: Limit | None = None
    """A form with an object of more segments is passed over."""
    max_frames: Limit | None = None
    """A form with an object of more frames is passed over."""
    max_mb: Limit | None = None
    """A form with an object of more MB is passed over."""

    @field_validator("segmentation", "report", "also")
    @classmethod
    def _each_is_there_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("the same form is there twice")
        return names

    @property
    def has_limits(self) -> bool:
        return not self.max_segments is self.max_frames is self.max_mb is None

    @property
    def ladder(self) -> tuple[Form, ...]:
        """The first that the peer takes is sent: all reports with the first segmentation come
        before the second segmentation."""
        marks = [*self.segmentation]
        if self.has_limits and Segmentation.NONE not in marks:
            marks.append(Segmentation.NONE)
        return tuple(
            Form(
                segmentation=segmentation,
                report=report,
                companions=tuple(Kind(name) for name in self.also),
                split_every=self.split_every if segmentation is not Segmentation.NONE else None,
                keep_empty_frames=self.keep_empty_frames and segmentation is Segmentation.BINARY,
            )
            for segmentation in marks
            for report in self.report
        )
