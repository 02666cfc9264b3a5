"""The forms that a destination takes results in, and the kinds of objects that there are."""

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What one object of a run is; also its name in files, tables and logs."""

    SEG = "seg"  # Segmentation, BINARY
    LABELMAP = "labelmap"  # Label Map Segmentation
    FRACTIONAL = "fractional"  # Segmentation, FRACTIONAL
    RTSTRUCT = "rtstruct"  # RT Structure Set
    SR = "sr"  # the report
    PM = "pm"  # Parametric Map
    SUMMARY = "summary"  # Secondary Capture: one page with the numbers
    KEY_IMAGES = "key_images"  # Secondary Capture: slices with outlines
    PRESENTATION = "presentation"  # Softcopy Presentation State
    KEY_OBJECTS = "key_objects"  # Key Object Selection
    PDF = "pdf"  # Encapsulated PDF
    REJECTION = "rejection"  # Key Object Selection: what was recalled


class Segmentation(enum.StrEnum):
    """How masks are sent; `none`: the report alone says what was marked."""

    BINARY = "binary"
    LABELMAP = "labelmap"
    FRACTIONAL = "fractional"
    RTSTRUCT = "rtstruct"
    NONE = "none"


KIND_OF_SEGMENTATION = {
    Segmentation.BINARY: Kind.SEG,
    Segmentation.LABELMAP: Kind.LABELMAP,
    Segmentation.FRACTIONAL: Kind.FRACTIONAL,
    Segmentation.RTSTRUCT: Kind.RTSTRUCT,
}


class ReportForm(enum.StrEnum):
    """Which SOP class the report is of; `spatial` has regions in the patient as coordinates."""

    COMPREHENSIVE_3D = "comprehensive_3d"
    COMPREHENSIVE = "comprehensive"
    SPATIAL = "spatial"  # Comprehensive 3D SR with SCOORD3D, which OHIF leaves blank
    NONE = "none"


# beside segmentation and report; the same objects whichever forms those have
COMPANIONS = (*(Kind.SUMMARY, Kind.KEY_IMAGES, Kind.PRESENTATION, Kind.KEY_OBJECTS, Kind.PDF),)
INDEPENDENT = (*COMPANIONS, Kind.PM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Everything of a run as one destination has it: the objects, and what the report refers to.

    `split_every` is how many segments one segmentation object may hold. With `keep_empty_frames`
    a SEG has a frame for each slice and segment.
    """

    segmentation: Segmentation = Segmentation.BINARY
    report: ReportForm = ReportForm.COMPREHENSIVE_3D
    companions: tuple[Kind, ...] = (Kind.SUMMARY,)
    split_every: int | None = None
    keep_empty_frames: bool = False

    @property
    def marks_label(self) -> str:
        """Equal for forms whose segmentations are the same objects."""
        further = [f"split{self.split_every}"] if self.split_every else []
        further += ["whole"] if self.keep_empty_frames else []
        return "+".join([self.segmentation, *further])

    @property
    def label(self) -> str:
        """Equal for equal forms; part of the report's UID, for it refers to the others."""
        companions = sorted(self.companions, key=COMPANIONS.index)
        return "+".join([self.marks_label, self.report, *companions])


DEFAULT = Form()
ALONE = Form(companions=())  # segmentation and report
MARKS = Form(report=ReportForm.NONE, companions=())  # what another model can work on
