"""The images that a Segmentation is of (PS3.3 C.8.20.2 and C.12.3)."""

from collections.abc import Sequence

from pydicom import Dataset


def refer_to_all(seg: Dataset, headers: Sequence[Dataset]) -> None:
    """Each once, also those on which there are no voxels."""
    by_series: dict[str, dict[str, Dataset]] = {}
    for header in headers:
        of_series = by_series.setdefault(str(header.SeriesInstanceUID), {})
        of_series.setdefault(str(header.SOPInstanceUID), _reference(header))
    every = [[*references.values()] for references in by_series.values()]
    seg.SourceImageSequence = [reference for references in every for reference in references]
    seg.ReferencedSeriesSequence = [
        _series(uid, references) for uid, references in zip(by_series, every, strict=True)
    ]


def _reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def _series(uid: str, references: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.ReferencedInstanceSequence = references
    item.SeriesInstanceUID = uid
    return item
