"""Pixels beside the images they belong to, as highdicom wants them: frame by frame."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import dictionary_VR

from dicom_ai_node.encoders.source.planes import OnSource, Pixel, SourcePlane
from dicom_ai_node.header import numbers_of

CROSS_SECTIONAL = ("CT", "MR", "PT")  # modalities whose images have a place in the patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources(Generic[Pixel]):
    """`pixels[k]` lies on the k-th single-frame header, or the k-th frame of the one.

    `frames` are of several multi-frame objects (a concatenation, say) that `headers` has as one.
    """

    headers: Sequence[Dataset]
    pixels: NDArray[Pixel]
    frames: Sequence[SourcePlane] = ()


def sources_of(placed: OnSource[Pixel]) -> Sources[Pixel]:
    """highdicom takes many single-frame images, or one multi-frame image, and never two."""
    planes = placed.planes
    headers = list({id(plane.header): plane.header for plane in planes}.values())
    if planes[0].frame_number is None:
        if planes[0].has_place:
            headers[0] = _with_thickness(headers[0], placed.spacing[0])
        else:
            headers = [_without_place(header) for header in headers]
        return Sources(headers=headers, pixels=placed.array)
    index = {id(header): number for number, header in enumerate(headers)}
    order = sorted(
        range(len(planes)),
        key=lambda k: (index[id(planes[k].header)], planes[k].frame_number or 0),
    )
    whole = headers[0] if len(headers) == 1 else _as_one(headers)
    frames = [planes[k] for k in order]
    return Sources(
        headers=[whole], pixels=placed.array[order], frames=frames if len(headers) > 1 else ()
    )


def image_of_one_pixel(placed: OnSource[Pixel]) -> Dataset:
    """The first image, which need not be a frame of many any more, and what it says of itself."""
    plane = placed.planes[0]
    if plane.frame_number is not None:
        ds = _alone(plane.header, plane.frame_number)
    elif plane.has_place:
        ds = copy_of(_with_thickness(plane.header, placed.spacing[0]))
    else:
        ds = _without_place(plane.header)
    return _changed(ds, Rows=1, Columns=1)


def _alone(header: Dataset, frame_number: int) -> Dataset:
    """With all that is said of this frame, wherever; highdicom writes into some of it."""
    shared = header.SharedFunctionalGroupsSequence[0]
    groups = copy_of(header.PerFrameFunctionalGroupsSequence[frame_number - 1], shared)
    return _changed(
        copy_of(header),
        NumberOfFrames=1,
        SharedFunctionalGroupsSequence=[copy.deepcopy(groups)],
        PerFrameFunctionalGroupsSequence=[copy.deepcopy(groups)],
    )


def refer_to_parts(result: Dataset, sources: Sources[Pixel]) -> None:
    """Each frame of a result names its source in the object where it really lies."""
    if not sources.frames:
        return
    items = [
        item
        for groups in result.PerFrameFunctionalGroupsSequence
        for derivation in groups.DerivationImageSequence
        for item in derivation.SourceImageSequence
    ]
    for item in items:
        plane = sources.frames[int(item.ReferencedFrameNumber) - 1]
        item.ReferencedSOPInstanceUID = plane.header.SOPInstanceUID
        item.ReferencedFrameNumber = plane.frame_number
    (series,) = result.ReferencedSeriesSequence
    (only,) = series.ReferencedInstanceSequence
    uids = sorted({str(plane.header.SOPInstanceUID) for plane in sources.frames})
    parts = [copy.deepcopy(only) for _ in uids]
    for part, uid in zip(parts, uids, strict=True):
        part.ReferencedSOPInstanceUID = uid
    series.ReferencedInstanceSequence = parts


def _as_one(headers: Sequence[Dataset]) -> Dataset:
    """For highdicom's eyes; what the parts share comes with each frame."""
    whole = copy_of(headers[0])
    every = []
    for header in headers:
        shared = header.SharedFunctionalGroupsSequence[0]
        frames = header.PerFrameFunctionalGroupsSequence
        every += [copy_of(shared, groups) for groups in frames]
    return _changed(whole, PerFrameFunctionalGroupsSequence=every, NumberOfFrames=len(every))


def copy_of(*several: Dataset) -> Dataset:
    """A new data set of their elements, the later ones first; none of them is changed."""
    ds = Dataset()
    for each in several:
        ds.update(each)
    if hasattr(several[0], "file_meta"):
        ds.file_meta = several[0].file_meta
    return ds


def _changed(ds: Dataset, **values: object) -> Dataset:
    """With elements of its own: those of a copy are also the original's."""
    for keyword, value in values.items():
        ds.add_new(keyword, dictionary_VR(keyword), value)
    return ds


def _with_thickness(header: Dataset, thickness: float) -> Dataset:
    """Type 2, but highdicom reads it of the first."""
    if header.get("SliceThickness"):
        return header
    return _changed(copy_of(header), SliceThickness=str(round(thickness, 6)))


def _without_place(header: Dataset) -> Dataset:
    """An image that has no place in the patient has none in a frame of reference either; of its
    pixels' size highdicom takes over what the header says, so that it must be believable."""
    ds = copy_of(header)
    for keyword in ("FrameOfReferenceUID", "SliceThickness", "SpacingBetweenSlices"):
        ds.pop(keyword, None)
    spacing = numbers_of(ds, "PixelSpacing")
    if len(spacing) != 2 or min(spacing) <= 0:
        ds.pop("PixelSpacing", None)
    return ds
