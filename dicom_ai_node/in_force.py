"""The configuration that a role runs with: written down, so that half an edit is nobody's start.

`run`, and a role that runs alone, read the folder of the administrator when they start and when
they are asked to reload; what they took stands in a file of the spool. The roles below `run` read
that file alone, whatever is being edited when one of them has to be started again.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.spool import Spool, durable_write

ROLES = ("receive", "work", "deliver", "web")
# what is bound, locked or counted on from the start to the end of a process
_FROM_THE_START = (
    *("node.host", "node.port", "node.spool", "node.database", "node.receive_processes"),
    *("node.drain_s", "metrics.host", "metrics.port", "web.host", "web.port"),
)
_TLS = "node.tls"  # whether there is such a port, and which; its files may change


class InForce(BaseModel):
    """What a role took last, and what came of its reloads."""

    model_config = ConfigDict(frozen=True)

    config: Config
    answered: int = 0  # times that it was asked to reload
    mistakes: tuple[str, ...] = ()  # for which the last of them was refused
    runs: bool = True  # False: the role has still to come back with it
    directory: Path | None = None  # whose files it read


def path_of(spool: Spool, role: str) -> Path:
    return spool.root / "in-force" / f"{role}.json"


def write(spool: Spool, role: str, said: InForce) -> None:
    """Durably; by the holder of this role alone. Raises OSError."""
    target = path_of(spool, role)
    part = target.with_suffix(".new")
    part.unlink(missing_ok=True)  # of one that was killed
    text = said.model_dump_json(by_alias=True, exclude_unset=True)
    durable_write(target, [text.encode()], part)


def read(path: Path) -> InForce:
    """Raises ConfigError when there is none, or it is another version's."""
    try:
        return InForce.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): start the node again"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"][1:]))
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{path}: {key}: {message}") from None


def find(spool: Spool, role: str) -> InForce | None:
    """What a role took last, if it ever wrote that down in a way that this version reads."""
    try:
        return read(path_of(spool, role))
    except ConfigError:
        return None


def running(spool: Spool) -> dict[str, InForce]:
    """What those run with who read the folder themselves: `run`, or roles that run alone."""
    alone = ("run",) if spool.holder("run") is not None else ROLES
    found = {role: find(spool, role) for role in alone if spool.holder(role) is not None}
    return {role: said for role, said in found.items() if said is not None}


def standing_in(spool: Spool, directory: Path) -> Config | None:
    """What a node runs with that was started with this folder, whose files have mistakes now."""
    for said in running(spool).values():
        if said.directory is not None and said.directory.resolve() == directory.resolve():
            return said.config
    return None


def not_in_force(spool: Spool, config: Config) -> list[str]:
    """Keys for which the files say something else than a node runs with that is there now."""
    return sorted(
        {key for said in running(spool).values() for key in changed_keys(said.config, config)}
    )


def next_step(spool: Spool, config: Config) -> str:
    """What has a node that runs with something else take what the files say."""
    if any(needs_restart(said.config, config) for said in running(spool).values()):
        return "restart the node: it keeps some of them"
    return "`dicom-ai-node reload`"


def changed_keys(before: Config, after: Config) -> list[str]:
    """In dotted form; a list counts as one key."""
    old, new = _flat(before), _flat(after)
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def needs_restart(before: Config, after: Config) -> list[str]:
    """The keys that changed, and that a running node does not change."""
    changed = changed_keys(before, after)
    found = [key for key in _FROM_THE_START if key in changed]
    if (before.node.tls is None) != (after.node.tls is None):
        return [*found, _TLS]
    return [*found, *(key for key in (f"{_TLS}.port",) if key in changed)]


def _flat(config: Config) -> Mapping[str, Any]:
    return dict(_below("", config.model_dump(mode="json", by_alias=True)))


def _below(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        yield key, value
        return
    for name, each in value.items():
        yield from _below(f"{key}.{name}" if key else str(name), each)
