"""A mask beside the images it belongs to, as highdicom wants them: frame by frame."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.encoders.planes import SourceMask, SourcePlane


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """`pixels[k]` is the mask on the k-th single-frame header, or the k-th frame of the one.

    `frames` are of several multi-frame objects (a concatenation, say) that `headers` has as one.
    """

    headers: Sequence[Dataset]
    pixels: NDArray[np.uint8]
    frames: Sequence[SourcePlane] = ()


def sources_of(mask: SourceMask) -> Sources:
    """highdicom takes many single-frame images, or one multi-frame image, and never two."""
    headers = list({id(plane.header): plane.header for plane in mask.planes}.values())
    if mask.planes[0].frame_number is None:
        _give_thickness(headers[0], mask)
        return Sources(headers=headers, pixels=mask.array)
    index = {id(header): number for number, header in enumerate(headers)}
    order = sorted(
        range(len(mask.planes)),
        key=lambda k: (index[id(mask.planes[k].header)], mask.planes[k].frame_number or 0),
    )
    whole = headers[0] if len(headers) == 1 else _as_one(headers)
    frames = [mask.planes[k] for k in order]
    return Sources(
        headers=[whole], pixels=mask.array[order], frames=frames if len(headers) > 1 else ()
    )


def refer_to_parts(seg: Dataset, sources: Sources) -> None:
    """Each frame of the SEG names its source in the object where it really lies."""
    if not sources.frames:
        return
    items = [
        item
        for groups in seg.PerFrameFunctionalGroupsSequence
        for derivation in groups.DerivationImageSequence
        for item in derivation.SourceImageSequence
    ]
    for item in items:
        plane = sources.frames[int(item.ReferencedFrameNumber) - 1]
        item.ReferencedSOPInstanceUID = plane.header.SOPInstanceUID
        item.ReferencedFrameNumber = plane.frame_number
    (series,) = seg.ReferencedSeriesSequence
    (only,) = series.ReferencedInstanceSequence
    uids = sorted({str(plane.header.SOPInstanceUID) for plane in sources.frames})
    parts = [copy.deepcopy(only) for _ in uids]
    for part, uid in zip(parts, uids, strict=True):
        part.ReferencedSOPInstanceUID = uid
    series.ReferencedInstanceSequence = parts


def _as_one(headers: Sequence[Dataset]) -> Dataset:
    """For highdicom's eyes; what the parts share comes with each frame."""
    whole = _with(headers[0])
    whole.file_meta = headers[0].file_meta
    every = []
    for header in headers:
        shared = header.SharedFunctionalGroupsSequence[0]
        frames = header.PerFrameFunctionalGroupsSequence
        every += [_with(shared, groups) for groups in frames]
    whole.PerFrameFunctionalGroupsSequence = every
    whole.NumberOfFrames = len(every)
    return whole


def _with(*several: Dataset) -> Dataset:
    """A new data set of their elements, the later ones first; none of them is changed."""
    ds = Dataset()
    for each in several:
        ds.update(each)
    return ds


def _give_thickness(header: Dataset, mask: SourceMask) -> None:
    if not header.get("SliceThickness"):  # type 2, but highdicom reads it of the first
        header.SliceThickness = str(round(mask.spacing[0], 6))
