"""Files that hold a secret: of no use to others, or not used at all."""

import os
import stat
from pathlib import Path

from dicom_ai_node.errors import ConfigError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def fault_of(path: Path) -> str | None:
    """Why the file cannot be used as a secret, and what to do; names it only where it exists.

    Who writes the secret itself where its file belongs must not read it again in a log.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(1)
            mode = path.stat().st_mode
    except FileNotFoundError:
        return "there is no such file: give the path of the file that holds the secret"
    except OSError as error:
        return f"the file cannot be read ({error.strerror}): check the path and its owner"
    except ValueError:  # a NUL
        return "this is no path: give the path of the file that holds the secret"
    if mode & (_OTHERS & ~stat.S_IRGRP if _is_credential(path) else _OTHERS):
        return f"{path} may be read by others than its owner: run `chmod 600 {path}`"
    return None if begins else f"{path} is empty: write the secret into it"


def _is_credential(path: Path) -> bool:
    """One that systemd hands to this service, which it may let in by an ACL: the mask of that
    stands where the rights of the group would."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.resolve().is_relative_to(Path(str(folder)).resolve())


def read_secret(key: str, path: Path) -> bytes:
    """Without one line end after it; `key` is that of the configuration. Raises ConfigError."""
    if fault := fault_of(path):
        raise ConfigError(f"{key}: {fault}")
    content = path.read_bytes()
    return content.removesuffix(b"\n").removesuffix(b"\r")


def read_secret_text(key: str, path: Path) -> str:
    """As `read_secret()`, of UTF-8."""
    try:
        return read_secret(key, path).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{key}: {path} is not UTF-8 text: write the secret once more") from None
