"""Frames of stored images: their bytes, and all that turns them into values; nothing decoded."""

from collections.abc import Sequence
from dataclasses import dataclass

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import numbers_of, words_of
from dicom_ai_node.loading.frame_header import FrameHeader, frame_headers, number_of_frames
from dicom_ai_node.loading.pixels import PixelFormat, check_types, pixel_format, streams_of
from dicom_ai_node.loading.stored_image import StoredImage
from dicom_ai_node.loading.unread import Unread
from dicom_ai_node.loading.values import Transform, transform_of

MAX_VOXEL_BYTES = 2 << 30  # of the float32 values, known before anything is decoded (P18)
MAX_FRAMES = 5000
TOO_LARGE = "The series is larger than the limit of 2 GiB of voxels."


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """`number` counts from 0 within the image; `transform` is linear, unless `said.transformed`."""

    image: StoredImage
    number: int
    said: FrameHeader
    form: PixelFormat
    stream: memoryview | Unread
    transform: Transform


def described(images: Sequence[StoredImage]) -> list[tuple[StoredImage, list[FrameHeader]]]:
    """What the headers say of each frame, once they are known to be grey, few and small enough."""
    for image in images:
        check_types(image.header)
    frames = sum(number_of_frames(image.header) for image in images)
    if frames > MAX_FRAMES:
        raise InputError(f"The series has {frames} slices; the limit is {MAX_FRAMES}.")
    found = [(image, [*frame_headers(image.header)]) for image in images]
    for image in images:
        _check_grey(image)
    return found


def check_size(images: Sequence[StoredImage]) -> None:
    """From Rows × Columns × Frames, before a byte is decoded."""
    if sum(_voxels(image) for image in images) * 4 > MAX_VOXEL_BYTES:
        raise InputError(TOO_LARGE)


def frames(
    image: StoredImage, said: Sequence[FrameHeader], *, inverted: bool = False
) -> list[Frame]:
    """The frames of an image, whose pixel data is known to be as long as it should be.

    `inverted` is for images that are shown as they are and stored as MONOCHROME1.
    """
    form = pixel_format(image)
    streams = streams_of(image, form, len(said))
    return [
        Frame(
            image=image,
            number=number,
            said=header,
            form=form,
            stream=stream,
            transform=transform_of(header, form, inverted=inverted),
        )
        for number, (header, stream) in enumerate(zip(said, streams, strict=True))
    ]


def monochrome1(image: StoredImage) -> bool:
    return words_of(image.header, "PhotometricInterpretation") == ("MONOCHROME1",)


def _check_grey(image: StoredImage) -> None:
    shown = words_of(image.header, "PhotometricInterpretation")
    samples = numbers_of(image.header, "SamplesPerPixel") or (1.0,)
    if samples != (1.0,) or shown not in (("MONOCHROME1",), ("MONOCHROME2",)):
        raise InputError(f"The images are not grey values ({' '.join(shown)[:16] or 'not said'}).")
    if "MOSAIC" in words_of(image.header, "ImageType"):
        raise InputError(
            "The images are mosaics: each holds all slices of a volume side by side. "
            "Send them as they are after conversion to single slices or multi-frame."
        )


def _voxels(image: StoredImage) -> int:
    sizes = [_size(image, keyword) for keyword in ("Rows", "Columns")]
    return sizes[0] * sizes[1] * number_of_frames(image.header)


def _size(image: StoredImage, keyword: str) -> int:
    values = numbers_of(image.header, keyword)
    if len(values) != 1:
        raise InputError(f"{keyword} is missing or not a number in an image of the series.")
    if values[0] < 1:
        raise InputError(f"{keyword} is 0 in an image of the series.")
    return int(values[0])
