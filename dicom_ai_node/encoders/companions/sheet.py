"""A page that is written from its top to its bottom."""

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw

from dicom_ai_node.encoders.companions.typeface import Typeface
from dicom_ai_node.encoders.run import RESEARCH

Color = tuple[int, int, int]
BACKGROUND: Color = (16, 18, 22)
WHITE: Color = (240, 242, 245)
GREY: Color = (165, 172, 182)
AMBER: Color = (255, 190, 40)
BLACK: Color = (0, 0, 0)
MARGIN = 24
LINE_HEIGHT = 1.3  # of the size of the letters
BANNER = (1024, 54)  # as wide as a page; scaled to that of another picture
DASH = 0.83  # of the size of the letters: Pillow's own font has none
SAME_EVERYWHERE = Typeface()  # it comes with Pillow


@dataclass(slots=True, kw_only=True)
class Sheet:
    """`y` is where the next thing goes."""

    image: Image.Image
    face: Typeface
    y: int = 0

    @property
    def pen(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.image)

    @property
    def width(self) -> int:
        return self.image.width - 2 * MARGIN

    def lines(self, text: str, size: float, width: float) -> list[str]:
        return _lines(self.face, self.face.drawable(text), size, width)

    def write(
        self, text: str, size: float, color: Color = WHITE, *, x: int = MARGIN, most: int = 99
    ) -> None:
        """From x to the right margin, in so many lines at the most."""
        found = self.lines(text, size, self.image.width - MARGIN - x)
        for line in shortened(found, most):
            self.pen.text((x, self.y), line, color, self.face.font(size))
            self.y += round(size * LINE_HEIGHT)


def shortened(lines: list[str], most: int) -> list[str]:
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} ..."]


@lru_cache(maxsize=8)
def banner(width: int, also: str = "", face: Typeface = SAME_EVERYWHERE) -> Image.Image:
    """ "AI — research use only" over the whole width, in the same letters on every machine; then
    `also`, the same in another language, in those of `face`."""
    image = Image.new("RGB", BANNER, AMBER)
    before, after = "AI ", f" {RESEARCH.upper()}"
    further = face.drawable(f"   |   {also.upper()}") if also else ""
    size = BANNER[1] * 0.72
    while (written := _written(before + after, further, size, face)) > BANNER[0] - 2 * MARGIN:
        size -= 1
    pen, font = ImageDraw.Draw(image), SAME_EVERYWHERE.font(size)
    x, middle, dash = (BANNER[0] - written) / 2, BANNER[1] / 2, size * DASH
    pen.text((x, middle), before, BLACK, font, "lm")
    x += font.getlength(before)
    pen.line([(x, middle), (x + dash, middle)], BLACK, BANNER[1] // 14)
    pen.text((x + dash, middle), after, BLACK, font, "lm")
    x += dash + font.getlength(after)
    pen.text((x, middle), further, BLACK, face.font(size), "lm")
    return image.resize((width, round(BANNER[1] * width / BANNER[0])), Image.Resampling.LANCZOS)


def _written(english: str, further: str, size: float, face: Typeface) -> float:
    """How wide, in pixels."""
    own = SAME_EVERYWHERE.font(size).getlength(english)
    return own + size * DASH + face.font(size).getlength(further)


@lru_cache(maxsize=512)
def _width(face: Typeface, text: str, size: float) -> float:
    return face.font(size).getlength(text)


def _lines(face: Typeface, text: str, size: float, width: float) -> list[str]:
    """Broken between words; within a word, or a text without any, where it would not fit."""
    found, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if _width(face, longer, size) <= width:
            line = longer
            continue
        if line:
            found.append(line)
        while _width(face, word, size) > width and len(word) > 1:
            count = next(
                n
                for n in range(len(word) - 1, 0, -1)
                if n == 1 or _width(face, word[:n], size) <= width
            )
            found.append(word[:count])
            word = word[count:]
        line = word
    return [*found, line] if line else found
