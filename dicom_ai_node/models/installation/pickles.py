"""Pickles run code when they are read, so no package brings one.

What torch.save wrote of tensors alone is none of that kind: it is read by `weights_only`.
"""

import io
import pickletools
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

from dicom_ai_node.errors import ConfigError

_NAMED = (".pkl", ".pickle", ".joblib", ".dill")
_CALLS = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "REDUCE", "BUILD", "NEWOBJ"})
_OLD_PROTOCOL = 1 << 20  # bytes; protocols 0 and 1 have no magic, so a file is read through
_FIRST = 64 << 10


def refuse_pickles(folder: Path, files: Iterable[str], *, only_tensors: bool = True) -> None:
    """Raises ConfigError, naming the file and what to save instead.

    Without `only_tensors`, archives of torch may hold more: of a package whose program, which
    somebody must have trusted, is the only one to open them.
    """
    for name in files:
        path = folder / name
        if path.suffix.lower() in _NAMED or _is_pickle(path):
            raise ConfigError(
                f"{name} is a pickle, which runs code when it is read: save "
                "network.state_dict() with torch.save, or safetensors"
            )
        if only_tensors and _is_torch_archive(path) and (unsafe := _unsafe_names(path)):
            raise ConfigError(
                f"{name} holds more than tensors ({', '.join(unsafe[:3])}): save "
                "network.state_dict() with torch.save, or safetensors"
            )


def is_torchscript(path: Path) -> bool:
    """An archive of torch with code in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.partition("/")[2].startswith("code/") for name in archive.namelist())


def _is_torch_archive(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/data.pkl") for name in archive.namelist())


def _unsafe_names(path: Path) -> list[str]:
    """What `weights_only` would refuse; of TorchScript, none, since no adapter opens it."""
    if is_torchscript(path):
        return []
    from torch.serialization import get_unsafe_globals_in_checkpoint  # torch takes seconds

    try:
        return sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception as error:  # noqa: BLE001 - of a hostile pickle it raises whatever it likes
        return [f"it cannot be read: {type(error).__name__}"]


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_FIRST)
        if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
            return _begins_as_pickle(start)
        if path.stat().st_size > _OLD_PROTOCOL:
            return False
        return _is_old_pickle(start + file.read())


def _begins_as_pickle(start: bytes) -> bool:
    """Whether its first operations are some, for weights may begin with the same two bytes."""
    found = 0
    try:
        for _ in pickletools.genops(io.BytesIO(start)):
            found += 1
            if found == 8:
                return True
    except ValueError:
        return False
    return True


def _is_old_pickle(content: bytes) -> bool:
    """Protocols 0 and 1: whole, and calling something."""
    stream = io.BytesIO(content)
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes in what is no text
            names = {operation.name for operation, _, _ in pickletools.genops(stream)}
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError):
        return False
    return bool(names & _CALLS) and not content[stream.tell() :].strip()
