"""Stored instances become a ModelInput, or an InputError that a radiologist understands."""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from pydicom import Dataset

from dicom_ai_node.config.package import InputKind
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import read_head, words_of
from dicom_ai_node.input import ModelInput
from dicom_ai_node.loading.frame_header import FrameHeader
from dicom_ai_node.loading.frames import (
    MAX_FRAMES,
    Frame,
    check_size,
    described,
    frames,
    monochrome1,
)
from dicom_ai_node.loading.geometry import arrangement
from dicom_ai_node.loading.pixels import check_same
from dicom_ai_node.loading.projection import projection_images
from dicom_ai_node.loading.stack import volume_of
from dicom_ai_node.loading.stored_image import StoredImage, is_plain, read_image
from dicom_ai_node.loading.unread import Damaged, check
from dicom_ai_node.study import Instance

MAX_FILE_BYTES = 2 << 30  # of the series (P18)
READERS = 4  # threads; reading and hashing leave the interpreter free

Described = list[tuple[StoredImage, list[FrameHeader]]]


def load_headers(instances: Sequence[Instance]) -> list[Dataset]:
    """Headers for a report on a study that is not analysed: nothing is checked, nothing decoded."""
    return [read_head(instance.path) for instance in instances]


def load(
    instances: Sequence[Instance], *, kind: InputKind = "volume", checked: bool = True
) -> ModelInput:
    """One series as one regular volume, or as single images; nothing is guessed at.

    `checked=False` leaves out the checksums, for measuring what they cost.
    """
    if len(instances) > MAX_FRAMES:
        raise InputError(f"The series has {len(instances)} images; the limit is {MAX_FRAMES}.")
    _check_files(instances)  # outside: what is larger than memory is not read for its checksum
    try:
        return _loaded(instances, kind=kind, checked=checked)
    except Exception:  # a fault of the disk must never be told as one of the study
        for instance in instances if checked else ():
            check(instance)
        raise


def _check_files(instances: Sequence[Instance]) -> None:
    try:
        size = sum(instance.path.stat().st_size for instance in instances)
    except FileNotFoundError:  # acknowledged, and gone since
        raise Damaged from None
    if size > MAX_FILE_BYTES:
        raise InputError("The files of the series are larger than the limit of 2 GiB.")


def _loaded(instances: Sequence[Instance], *, kind: InputKind, checked: bool) -> ModelInput:
    images = _read(instances, checked=checked)
    headers = [image.header for image in images]
    try:
        found = described(images)
        del images
        return _volume(headers, found) if kind == "volume" else _images(headers, found)
    except NotImplementedError as error:  # pydicom's, at the first look at such an element
        raise InputError("An image has an element of an unknown value representation.") from error


def _read(instances: Sequence[Instance], *, checked: bool) -> list[StoredImage]:
    share = MAX_FILE_BYTES // max(2, len(instances))
    read = partial(read_image, share=share, checked=checked)
    if all(map(is_plain, instances)):  # headers only: threads would wait for each other
        with _uncollected():
            return [read(instance) for instance in instances]
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(read, instances))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Python would look for garbage again and again among elements that all remain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _volume(headers: Sequence[Dataset], found: Described) -> ModelInput:
    for image, _ in found:
        if monochrome1(image) and words_of(image.header, "Modality") != ("CT",):
            raise InputError(
                "The images are stored inverted (MONOCHROME1), which is not supported."
            )
    if len({bool(several[0].groups) for _, several in found}) > 1:
        raise InputError("The series mixes multi-frame objects with images of a single frame.")
    _check_concatenation(headers)
    where = arrangement([said for _, several in found for said in several])
    check_size([image for image, _ in found])
    every = [frame for image, said in found for frame in frames(image, said)]
    check_same([frame.form for frame in every])
    found.clear()
    ordered: list[Frame | None] = [every[index] for index in where.order]
    every.clear()  # so that only `ordered` holds the files' bytes
    return ModelInput(headers=headers, volume=volume_of(ordered, where))


def _images(headers: Sequence[Dataset], found: Described) -> ModelInput:
    """MONOCHROME1 only says how to display: Hounsfield units stay what they are (D23)."""
    check_size([image for image, _ in found])
    every = [
        frame
        for image, said in found
        for frame in frames(
            image,
            said,
            inverted=monochrome1(image) and words_of(image.header, "Modality") != ("CT",),
        )
    ]
    return ModelInput(headers=headers, images=projection_images(every))


def _check_concatenation(headers: Sequence[Dataset]) -> None:
    """Parts of one multi-frame object (PS3.3 C.7.6.16.1.2): all of them, or none."""
    uids = [words_of(header, "ConcatenationUID") for header in headers]
    found = Counter(uids)
    for uid, header in zip(uids, headers, strict=True):
        parts, total = found[uid], header.get("InConcatenationTotalNumber") if uid else None
        if total and parts != total:
            raise InputError(
                f"The series holds {parts} of the {total} parts of a multi-frame concatenation."
            )
