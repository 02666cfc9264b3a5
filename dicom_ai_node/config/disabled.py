"""The kill switch: models of which no job runs, by markers beside them in the store.

`STORE/.disabled/NAME VERSION.json`, one a model: switched without asking anybody, seen by a worker
at its next look, and there after a restart.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_ai_node.errors import ConfigError

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel

FOLDER = ".disabled"  # hidden: no model lies there


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """`at` is in seconds since the epoch."""

    model: str
    version: str
    why: str
    at: float
    by_itself: bool = False  # the node did it, and nobody knows yet

    @property
    def sentence(self) -> str:
        return f"{self.model} {self.version} is disabled: {self.why}"


def disable(
    store: Path, model: "InstalledModel", *, why: str, now: float, by_itself: bool = False
) -> Disabled:
    """Raises ConfigError where the store cannot be written to."""
    made = Disabled(
        model=model.package.name,
        version=model.package.version,
        why=why,
        at=now,
        by_itself=by_itself,
    )
    folder = store / FOLDER
    target = folder / f"{model.label}.json"
    part = folder / f"{model.label}.{os.getpid()}.part"
    try:
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)  # who disables may be another user than the node is
        with part.open("w") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(json.dumps(asdict(made)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise ConfigError(
            f"{model.label} cannot be disabled ({error.strerror}): the node must be able to write "
            f"to {folder}"
        ) from None
    return made


def enable(store: Path, name: str, version: str) -> bool:
    """Whether it was disabled; it need not be in the store. Raises ConfigError where the store
    cannot be written to."""
    label = f"{name} {version}"
    marker = store / FOLDER / f"{label}.json"
    try:
        marker.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(
            f"{label} cannot be enabled ({error.strerror}): remove {marker} as a user who may"
        ) from None
    return True


def read_disabled(store: Path) -> Mapping[tuple[str, str], Disabled]:
    """By name and version. A marker that cannot be read disables nothing less for that.

    ConfigError where nobody can tell what is disabled.
    """
    found: dict[tuple[str, str], Disabled] = {}
    for path in _markers(store / FOLDER):
        name, _, version = path.name.removesuffix(".json").partition(" ")
        try:
            marker = Disabled(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            continue  # it was enabled just now
        except (OSError, ValueError, TypeError):
            marker = Disabled(model=name, version=version, why="its marker is unreadable", at=0)
        found[name, version] = marker
    return found


def _markers(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be read ({error.strerror}), so nobody knows which models are "
            "disabled: let the user of the node read it"
        ) from None
