"""A package from an archive of which nothing is believed: zip, or tar, compressed or not.

Everything is checked before anything is written; what is written are plain files below one folder.
"""

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from dicom_ai_node.config.package import RelativePath
from dicom_ai_node.config.store import MODEL_YAML
from dicom_ai_node.errors import ConfigError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
    NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip
_NAME: TypeAdapter[str] = TypeAdapter(RelativePath)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of what an archive may become; the ratio, to the archive's own size, holds beyond `small`."""

    files: int = 10_000
    size: int = 32 << 30  # bytes
    ratio: int = 100
    small: int = 64 << 20

    def bytes_of(self, archive: Path) -> int:
        return max(self.small, min(self.size, self.ratio * archive.stat().st_size))


LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    size: int
    is_folder: bool = False
    oddity: str | None = None  # what it is, where that is neither a file nor a folder


def is_archive(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, into: Path, limits: Limits = LIMITS) -> Path:
    """The folder of the package, below `into`; ConfigError before anything was written."""
    try:
        checked = [member for member, _ in _members(archive, limits)]
        root, known = _check(checked, archive, limits), set(checked)
        for member, content in _members(archive, limits):
            if member not in known:
                raise ConfigError(
                    f"{archive.name} changes while it is read: copy it, and try again"
                )
            if content is not None:
                path = into / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    shutil.copyfileobj(content, file, _CHUNK)
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ConfigError(f"{archive} cannot be unpacked: {error.strerror}") from None
        raise ConfigError(
            f"{archive.name} is damaged, or no archive ({type(error).__name__}): pack it again"
        ) from None
    return into / root


def _members(archive: Path, limits: Limits) -> Iterator[tuple[_Member, IO[bytes] | None]]:
    """Each member with its content, to be read before the next one is asked for."""
    if zipfile.is_zipfile(archive):
        return _of_zip(archive)
    return _of_tar(archive, limits)


def _of_zip(archive: Path) -> Iterator[tuple[_Member, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                member = _Member(name=info.filename.rstrip("/"), size=0, is_folder=True)
            elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                member = _Member(name=info.orig_filename, size=0, oddity="a link or a device")
            elif info.flag_bits & 1:
                member = _Member(name=info.orig_filename, size=0, oddity="encrypted")
            else:
                member = _Member(name=info.orig_filename, size=info.file_size)
            if member.is_folder or member.oddity:
                yield member, None
            else:
                with opened.open(info) as content:
                    yield member, content


def _of_tar(archive: Path, limits: Limits) -> Iterator[tuple[_Member, IO[bytes] | None]]:
    with archive.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        opener = next((o for magic, o in _OPENERS.items() if start.startswith(magic)), None)
        plain = file if opener is None else opener(file)
        counted = _Counted(plain, limits.bytes_of(archive) + 2048 * limits.files, archive.name)
        with tarfile.open(fileobj=counted, mode="r|") as opened:  # type: ignore[call-overload]
            for info in opened:
                if info.isdir():
                    yield _Member(name=info.name, size=0, is_folder=True), None
                elif not info.isreg() or info.issparse():
                    yield _Member(name=info.name, size=0, oddity="a link or a device"), None
                else:
                    yield _Member(name=info.name, size=info.size), opened.extractfile(info)


class _Counted:
    """A stream that ends with ConfigError when more comes out of it than may."""

    def __init__(self, plain: IO[bytes], most: int, name: str) -> None:
        self._plain = plain
        self._left = most
        self._name = name

    def read(self, size: int) -> bytes:
        """In pieces: a header that claims a terabyte must not be believed at once."""
        pieces = []
        while size > 0 and (piece := self._plain.read(min(size, _CHUNK))):
            pieces.append(piece)
            size -= len(piece)
            self._left -= len(piece)
            if self._left < 0:
                raise _bomb(self._name)
        return b"".join(pieces)


def _check(members: Sequence[_Member], archive: Path, limits: Limits) -> str:
    """The folder in which model.yaml lies: the top of the archive, or the one folder there."""
    if len(members) > limits.files:
        raise ConfigError(f"{archive.name} holds more than {limits.files} files: is it a package?")
    if sum(member.size for member in members) > limits.bytes_of(archive):
        raise _bomb(archive.name)
    files: set[str] = set()
    folders: set[str] = set()
    for member in members:
        if member.oddity:
            text = f"{archive.name}: {_shown(member.name)} is {member.oddity}"
            raise ConfigError(f"{text}: a package holds plain files only")
        name = _checked_name(member, archive)
        known = files if member.is_folder else files | folders
        above = {str(parent).casefold() for parent in Path(name).parents} - {"."}
        if name.casefold() in known or above & files:
            raise ConfigError(
                f"{archive.name} holds {name} twice (capitals do not count): pack it again"
            )
        (folders if member.is_folder else files).add(name.casefold())
        folders |= above
    for place in ("", *sorted({name.partition("/")[0] for name in _names(members)})):
        if f"{place}/{MODEL_YAML}".lstrip("/") in _names(members):
            return place
    raise ConfigError(f"{archive.name} has no {MODEL_YAML}: is it a model package?")


def _names(members: Sequence[_Member]) -> set[str]:
    return {member.name.removeprefix("./") for member in members if not member.is_folder}


def _checked_name(member: _Member, archive: Path) -> str:
    """`./` before it is what `tar -C folder .` writes."""
    name = member.name.removeprefix("./")
    if member.is_folder and name in ("", "."):
        return "."
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise ConfigError(
            f"{archive.name}: {_shown(member.name)} is no name for a file of a package (letters, "
            "digits and . _ + -, none of the last at its beginning, and no way out of the folder)"
        ) from None


def _shown(name: str) -> str:
    return ascii(name[:80])


def _bomb(name: str) -> ConfigError:
    return ConfigError(f"{name} becomes larger than a package may be: is it an archive bomb?")
