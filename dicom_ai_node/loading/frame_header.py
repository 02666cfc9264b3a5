"""What a header says of one frame: a single-frame image by itself, a multi-frame one in groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import numbers_of, words_of

# where a multi-frame object keeps it (PS3.3 C.7.6.16.2, C.8.13.5, C.8.15.3), and how it calls it
_MACROS = {
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "RescaleSlope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "RescaleIntercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "RescaleType": ("PixelValueTransformationSequence", "RescaleType"),
    "WindowCenter": ("FrameVOILUTSequence", "WindowCenter"),
    "WindowWidth": ("FrameVOILUTSequence", "WindowWidth"),
    "VOILUTFunction": ("FrameVOILUTSequence", "VOILUTFunction"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "NominalPercentageOfCardiacPhase": (
        "CardiacSynchronizationSequence",
        "NominalPercentageOfCardiacPhase",
    ),
    "StackID": ("FrameContentSequence", "StackID"),
}
# the macro that holds the frame type differs with the kind of object
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
# by which pixels become values in ways that highdicom knows and we do not
_TRANSFORMED = ("ModalityLUTSequence", "RealWorldValueMappingSequence")
# what legacy converted objects keep of their sources (PS3.3 C.7.6.16.2.25)
_UNASSIGNED = (
    "UnassignedPerFrameConvertedAttributesSequence",
    "UnassignedSharedConvertedAttributesSequence",
)
_LARGEST_NUMBER = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """`groups` are empty for a single-frame image; else the frame's own, then the shared ones."""

    header: Dataset
    groups: tuple[Dataset, ...] = ()

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """() where the attribute is missing, or is no number."""
        item, name = self._place_of(keyword)
        return () if item is None else numbers_of(item, name)

    def words(self, keyword: str) -> tuple[str, ...]:
        item, name = self._place_of(keyword)
        return () if item is None else words_of(item, name)

    def has(self, keyword: str) -> bool:
        item, name = self._place_of(keyword)
        return item is not None and name in item

    @property
    def frame_type(self) -> tuple[str, ...]:
        for macro in _FRAME_TYPES if self.groups else ():
            if (item := self._item(macro)) is not None:
                return words_of(item, "FrameType")
        return words_of(self.header, "ImageType")

    @property
    def transformed(self) -> bool:
        """Whether values are more than rescaled: by a table, or into real-world units."""
        return any(keyword in ds for ds in (self.header, *self.groups) for keyword in _TRANSFORMED)

    def _place_of(self, keyword: str) -> tuple[Dataset | None, str]:
        if not self.groups:
            return self.header, keyword
        macro, name = _MACROS.get(keyword, ("", keyword))
        if macro and (item := self._item(macro)) is not None and name in item:
            return item, name
        for unassigned in _UNASSIGNED:
            if (item := self._item(unassigned)) is not None and keyword in item:
                return item, keyword
        return self.header, keyword

    def _item(self, macro: str) -> Dataset | None:
        for groups in self.groups:
            if items := _items(groups, macro):
                return items[0]
        return None


def number_of_frames(header: Dataset) -> int:
    if not words_of(header, "NumberOfFrames"):
        return 1
    values = numbers_of(header, "NumberOfFrames")
    if len(values) != 1 or not 1 <= values[0] <= _LARGEST_NUMBER or values[0] % 1:
        raise InputError("This is a multi-frame object whose number of frames makes no sense.")
    return int(values[0])


def frame_headers(header: Dataset) -> Iterator[FrameHeader]:
    """One a frame; InputError where a multi-frame object does not describe each of its frames."""
    number = number_of_frames(header)
    if "PerFrameFunctionalGroupsSequence" not in header:
        if number > 1:
            raise InputError(
                "This is a multi-frame object without the position of each frame "
                "(it has no per-frame functional groups)."
            )
        yield FrameHeader(header=header)
        return
    own = _items(header, "PerFrameFunctionalGroupsSequence")
    shared = _items(header, "SharedFunctionalGroupsSequence")
    if len(own) != number:
        raise InputError(
            f"This is a multi-frame object of {number} frames that describes {len(own)} of them."
        )
    for groups in own:
        yield FrameHeader(header=header, groups=(groups, *shared[:1]))


def _items(ds: Dataset, keyword: str) -> Sequence[Dataset]:
    """None, too, where the element is no sequence."""
    value = ds.get(keyword)
    return value if isinstance(value, DicomSequence) else ()
