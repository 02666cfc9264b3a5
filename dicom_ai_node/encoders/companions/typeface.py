"""A font that has the letters of a text; and what stands for those that none has."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from dicom_ai_node.encoders.finish import PLAIN_LETTERS

# where systems keep fonts, and those with many letters among the usual ones
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
USUAL = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "FreeSans.ttf"),
    *("Arimo-Regular.ttf", "NotoSansCJK-Regular.ttc", "NotoSansCJKjp-Regular.otf"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf", "NanumGothic.ttf"),
    *("ipag.ttf", "ipagp.ttf", "TakaoPGothic.ttf", "fonts-japanese-gothic.ttf"),
    *("NotoSansThai-Regular.ttf", "NotoNaskhArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
)
NOBODY_HAS = "\U0010ffff"  # is drawn as every letter is that a font lacks
ANY_SIZE = 20


@dataclass(frozen=True, slots=True)
class Typeface:
    """`path` is None for the one that comes with Pillow, which has little more than ASCII."""

    path: Path | None = None

    def font(self, size: float) -> ImageFont.FreeTypeFont:
        return _font(self.path, size)

    def lacks(self, text: str) -> set[str]:
        return {letter for letter in set(text) if not _has(self.path, letter)}

    def drawable(self, text: str) -> str:
        """Letters that are not there without their accents, in plain ones, or as ? and never as
        nothing."""
        missing = self.lacks(text)
        return "".join(self._stand_in(each) if each in missing else each for each in text)

    def _stand_in(self, letter: str) -> str:
        plain = unicodedata.normalize("NFKD", letter.translate(PLAIN_LETTERS))
        base = "".join(each for each in plain if not unicodedata.combining(each))
        return base if base and not self.lacks(base) else "?"


def typeface_for(text: str, own: Path | None = None) -> Typeface:
    """The site's own font, Pillow's, or the first of the system's that has all letters; where none
    has, the one that lacks the fewest."""
    best, fewest = Typeface(), len(set(text)) + 1
    for face in _candidates(own):
        missing = len(face.lacks(text))
        if not missing:
            return face
        if missing < fewest:
            best, fewest = face, missing
    return best


def _candidates(own: Path | None) -> Iterator[Typeface]:
    if own is not None and _opens(own):
        yield Typeface(own)
    yield Typeface()
    yield from (Typeface(path) for path in _of_the_system() if _opens(path))


@lru_cache(maxsize=1)
def _of_the_system() -> tuple[Path, ...]:
    found = {path.name: path for folder in FOLDERS for path in sorted(folder.rglob("*.[ot]t[fc]"))}
    return tuple(found[name] for name in USUAL if name in found)


@lru_cache(maxsize=64)
def _opens(path: Path) -> bool:
    try:
        _font(path, ANY_SIZE)
    except OSError:
        return False
    return True


@lru_cache(maxsize=128)
def _font(path: Path | None, size: float) -> ImageFont.FreeTypeFont:
    if path is not None:
        return ImageFont.truetype(path, size)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow without FreeType
        raise TypeError("Pillow was built without FreeType: install a wheel of it")
    return font


@lru_cache(maxsize=4096)
def _has(path: Path | None, letter: str) -> bool:
    if letter.isspace():
        return True
    return _drawn(path, letter) != _drawn(path, NOBODY_HAS)


def _drawn(path: Path | None, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(path, ANY_SIZE).getmask(letter)
    return mask.size, bytes(mask)
