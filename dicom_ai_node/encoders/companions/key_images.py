"""The key slices in colour, with their outlines burned in: one series, a picture each.

Viewers read the last object of a series of segmentations or reports, and all of a series of
images; frames in colour of one object are what fewer of them show.
"""

from collections.abc import Iterator, Sequence

from PIL import Image
from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.companions.capture import capture
from dicom_ai_node.encoders.companions.content import number_in
from dicom_ai_node.encoders.companions.key_slices import KeySlice, key_slices
from dicom_ai_node.encoders.companions.sheet import BACKGROUND, WHITE, Sheet, banner
from dicom_ai_node.encoders.companions.slice_picture import plane_of, sides_of, slice_picture
from dicom_ai_node.encoders.companions.typeface import typeface_for
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.errors import InputError
from dicom_ai_node.form import Kind

LONGEST = (768, 1024)  # pixels: a smaller image is made as large, a larger one no larger
NARROWEST = 512  # so that the banner can be read
CAPTION = 20


def encode_key_images(basis: Basis) -> Sequence[Dataset]:
    """None without findings, and none where no pixels are at hand."""
    identity = Identity(run=basis.run, kind=Kind.KEY_IMAGES)
    found = []
    for number, (shown, picture) in enumerate(key_pictures(basis), 1):
        sides = sides_of(shown.header, plane_of(shown.header, shown.frame_number))
        found.append(
            capture(
                picture,
                basis,
                identity,
                basis.run.say("key images"),
                sources=[shown.where],
                number=number,
                sides=sides or (),
            )
        )
    return found


def key_pictures(basis: Basis) -> Iterator[tuple[KeySlice, Image.Image]]:
    """Those that can be decoded."""
    for shown in key_slices(basis) if basis.picture is not None else []:
        try:
            pixels = basis.picture(*shown.where)  # type: ignore[misc]
        except InputError:
            continue
        size = min(max(max(pixels.shape[:2]), LONGEST[0]), LONGEST[1])
        texts = [_where_in_words(shown, basis), ", ".join(shown.labels), basis.run.package.title]
        letters = "".join([*texts, basis.run.research_too.upper()])
        face = typeface_for(letters, basis.run.font)
        picture = slice_picture(shown, pixels, (size, size), face)
        yield shown, _framed(picture, texts, Sheet(image=picture, face=face), basis.run)


def _framed(picture: Image.Image, texts: Sequence[str], sheet: Sheet, run: Run) -> Image.Image:
    """The slice between the banner and its caption, which cover nothing of it."""
    width = max(picture.width, NARROWEST)
    strip = banner(width, run.research_too, sheet.face)
    captions = sheet.lines(" | ".join(texts), CAPTION, width - 48)[:4]
    height = strip.height + picture.height + len(captions) * 26 + 20
    page = Image.new("RGB", (width, height), BACKGROUND)
    page.paste(strip, (0, 0))
    page.paste(picture, ((width - picture.width) // 2, strip.height))
    below = Sheet(image=page, face=sheet.face, y=strip.height + picture.height + 8)
    for caption in captions:
        below.write(caption, CAPTION, WHITE)
    return page


def _where_in_words(shown: KeySlice, basis: Basis) -> str:
    """Series, image and frame in the numbers that a viewer shows."""
    uid, frame_number = shown.where
    header = next(ds for ds in basis.headers if str(ds.SOPInstanceUID) == uid)
    say, found = basis.run.say, []
    if number := number_in(header, "SeriesNumber"):
        found.append(say("series {number}", number=number))
    if number := number_in(header, "InstanceNumber"):
        found.append(say("image {number}", number=number))
    if frame_number is not None:
        found.append(say("frame {number}", number=frame_number))
    return ", ".join(found)
