"""A file that is a font."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

# how TrueType, OpenType and collections of them begin
_BEGINNINGS = (b"\x00\x01\x00\x00", b"true", b"OTTO", b"ttcf")


def _is_font(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError:
        raise ValueError("there is no such file, or it may not be read") from None
    if begins not in _BEGINNINGS:
        raise ValueError("this is no TTF, OTF or TTC file")
    return path


FontFile = Annotated[Path, AfterValidator(_is_font)]
