"""`load(directory)`: every `*.yaml` in name order, then the environment, then validation."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from dicom_ai_node.config.alarms_check import mistakes_of_probe
from dicom_ai_node.config.inputs import mistakes_of_inputs, mistakes_of_models
from dicom_ai_node.config.peers import DimsePeer, is_loopback
from dicom_ai_node.config.secret_file import CHECK_FILES
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.web_check import mistakes_of_web
from dicom_ai_node.errors import ConfigError

ENVIRONMENT_PREFIX = "DICOM_AI_NODE__"
MAX_FILE_BYTES = 1 << 20

Key = tuple[str | int, ...]
_TAGS = frozenset({"condition", "any", "all", "dimse", "dicomweb", "folder"})


@dataclass
class _Tree:
    """Merged values, and for each key the `file:line` that said it last."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)

    def place(self, loc: Sequence[str | int]) -> tuple[str, str]:
        """Where a key, or the nearest one above it, stands; and the key in dotted form.

        Pydantic's locations hold tags of unions too ("dimse"), which no file has.
        """
        here: Any = self.values
        key: Key = ()
        for index, part in enumerate(loc):
            in_mapping = isinstance(here, dict) and part in here
            in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
            if in_mapping or in_list:
                here = here[part]
                key = (*key, part)
            elif index == len(loc) - 1 and part not in _TAGS:
                key = (*key, part)
        for end in range(len(key), 0, -1):
            if key[:end] in self.places:
                return self.places[key[:end]], ".".join(map(str, key))
        return "configuration", ".".join(map(str, key))


def load(
    directory: Path, environ: Mapping[str, str] = os.environ, *, need_models: bool = False
) -> Config:
    """Raises ConfigError with one line per mistake: file, line, key and what to do.

    With `need_models`, a route to a model that is not in the store is a mistake too.
    """
    if not directory.is_dir():
        raise ConfigError(
            f"{directory} is not a folder: give the folder of your *.yaml files with --config"
        )
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise ConfigError(f"{directory} holds no *.yaml file: start from config/node.yaml")
    tree = _Tree()
    for file in files:
        _merge(tree, _read(file), file)
    _override(tree, environ)
    try:
        config = Config.model_validate(tree.values, context=CHECK_FILES)
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(error, tree))) from None
    wrong = [*_disagreements(config, tree), *(_missing_models(config, tree) if need_models else ())]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return config


def _disagreements(config: Config, tree: _Tree) -> Iterator[str]:
    """Each part is right, and the whole is not."""
    labels = [route.label for route in config.routes]
    for index, route in enumerate(config.routes):
        place, key = tree.place(("routes", index, "send_to"))
        known = ", ".join(config.peers) or "none"
        for peer in route.send_to:
            if peer not in config.peers:
                yield f"{place}: {key}: there is no peer {peer} under peers (there: {known})"
        if route.label in labels[:index]:
            place, _ = tree.place(("routes", index, "model"))
            yield f"{place}: routes.{index}: two routes are called {route.label}: give one a name"
    for loc, mistake in mistakes_of_inputs(config):
        place, key = tree.place(loc)
        yield f"{place}: {key}: {mistake}"
    yield from _unanswerable(config, tree)
    yield from _unreported(config, tree)
    yield from _unfetchable(config, tree)
    yield from _unprotected(config, tree)
    yield from _same_ports(config, tree)
    for loc, mistake in (*mistakes_of_web(config.web), *mistakes_of_probe(config)):
        place, key = tree.place(loc)
        yield f"{place}: {key}: {mistake}"


def _same_ports(config: Config, tree: _Tree) -> Iterator[str]:
    """Each listener needs one of its own; 0 is any that is free."""
    node, taken = config.node, dict[int, str]()
    ports = {
        ("node", "port"): node.port,
        ("node", "tls", "port"): node.tls.port if node.tls is not None else None,
        ("metrics", "port"): config.metrics.port,
        ("web", "port"): config.web.port,
    }
    for loc, port in ports.items():
        name = ".".join(loc)
        if port and taken.setdefault(port, name) != name:
            place, _ = tree.place(loc)
            yield f"{place}: {name}: {port} is the port of {taken[port]} as well: choose another"


def _unanswerable(config: Config, tree: _Tree) -> Iterator[str]:
    """Who is to be asked must be somebody who can answer."""
    for index, entry in enumerate(config.accept):
        asked = entry.complete.ask
        if asked is None or isinstance(config.peers.get(asked), DimsePeer):
            continue
        place, key = tree.place(("accept", index, "complete", "ask"))
        known = [name for name, peer in config.peers.items() if isinstance(peer, DimsePeer)]
        there = ", ".join(known) or "none"
        yield f"{place}: {key}: there is no peer {asked} of kind dimse under peers (there: {there})"


def _unreported(config: Config, tree: _Tree) -> Iterator[str]:
    """Who is asked for storage commitment may answer on an association of its own."""
    welcome = {entry.ae_title for entry in config.accept if "commitment" in entry.may}
    for name, peer in config.peers.items():
        if isinstance(peer, DimsePeer) and peer.commitment and peer.ae_title not in welcome:
            place, key = tree.place(("peers", name, "commitment"))
            yield (
                f"{place}: {key}: its answer could not come: name the AE title of this peer under "
                "accept, with commitment in its `may`"
            )


def _unfetchable(config: Config, tree: _Tree) -> Iterator[str]:
    """What a peer sends after a C-MOVE must be taken from it."""
    may_store = {entry.ae_title for entry in config.accept if "store" in entry.may}
    for name, peer in config.peers.items():
        if not isinstance(peer, DimsePeer) or peer.catch_up is None:
            continue
        if peer.ae_title not in may_store:
            place, key = tree.place(("peers", name, "catch_up"))
            yield (
                f"{place}: {key}: what is fetched from {peer.ae_title} could not come: let it "
                "store, with an entry of accept"
            )


def _unprotected(config: Config, tree: _Tree) -> Iterator[str]:
    """Who may store, and whether anybody on the network can read along (P15, P16)."""
    node = config.node
    place, _ = tree.place(("node", "port"))
    if node.port is None and node.tls is None:
        yield f"{place}: node.port: null, and no node.tls: nobody could connect; set one of them"
    if node.port is not None and not node.allow_plaintext and not is_loopback(node.host):
        yield (
            f"{place}: node.port: images would cross the network unprotected: configure node.tls "
            "and set node.port to null, or set node.allow_plaintext: true"
        )
    if node.tls is None:
        for index, entry in enumerate(config.accept):
            if entry.certificate:
                place, key = tree.place(("accept", index, "certificate"))
                yield f"{place}: {key}: certificates are only shown with TLS: configure node.tls"
    elif config.accept and not any(entry.certificate for entry in config.accept):
        place, _ = tree.place(("node", "tls"))
        yield f"{place}: node.tls: no entry of accept has a certificate, so nobody could use it"


def _missing_models(config: Config, tree: _Tree) -> list[str]:
    # here, because a receiver needs no dictionary of coded concepts in its memory
    from dicom_ai_node.config.store import find, read_store

    there = read_store(config.node.models, config.node.trusted_models).by_label()
    inputs_of = {label: model.package.inputs for label, model in there.items()}
    lines = []
    for loc, mistake in mistakes_of_models(config, inputs_of):
        place, key = tree.place(loc)
        lines.append(f"{place}: {key}: {mistake}")
    for index, route in enumerate(config.routes):
        place, key = tree.place(("routes", index, "model"))
        if (model := there.get(route.model_label)) is not None:
            if model.needs_trust:
                lines.append(f"{place}: {key}: {model.needs_trust}")
            if missing := set(route.maps) - model.package.maps:
                place, key = tree.place(("routes", index, "maps"))
                names = " and ".join(sorted(missing))
                lines.append(f"{place}: {key}: {model.label} makes no map of {names}: leave it out")
            continue
        try:
            find(config.node.models, route.model, route.version)
        except ConfigError as error:
            lines += [f"{place}: {key}: {line}" for line in str(error).splitlines()]
    return lines


def _read(file: Path) -> CommentedMap:
    yaml = YAML(typ="rt", pure=True)  # round-trip: it alone remembers lines
    yaml.version = "1.2"
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{file} is larger than {MAX_FILE_BYTES} bytes: is it configuration?")
        document = yaml.load(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text (byte {error.start})") from None
    except DuplicateKeyError as error:  # its text repeats the values
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{file}:{line}: this key is there twice") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(f"{file}:{line}: {error.problem or error}") from None
    except YAMLError as error:
        raise ConfigError(f"{file}: {' '.join(str(error).split())}") from None
    except (ValueError, RecursionError):  # such as the 13th month, or a thousand brackets
        raise ConfigError(f"{file}: a date, a number or its nesting cannot be read") from None
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{file}:1: expected keys such as node:, peers: and routes:")
    return document


def _merge(tree: _Tree, document: CommentedMap, file: Path) -> None:
    """Mappings merge, lists append, a later scalar replaces an earlier one."""

    def into(target: dict[str, Any], source: CommentedMap, path: Key) -> None:
        for name, value in source.items():
            key = (*path, str(name))
            # a key that came by a merge (<<) has no line of its own
            line = source.lc.data.get(name, (source.lc.line,))[0] + 1
            tree.places[key] = f"{file}:{line}"
            if isinstance(value, CommentedMap):
                below = target.setdefault(str(name), {})
                if isinstance(below, dict):
                    into(below, value, key)
                    continue
            if isinstance(value, CommentedSeq):
                before = target.get(str(name))
                kept = before if isinstance(before, list) else []
                target[str(name)] = kept + _items(value, key, len(kept))
            else:
                target[str(name)] = value

    def _items(source: CommentedSeq, path: Key, offset: int) -> list[Any]:
        items: list[Any] = []
        for index, value in enumerate(source):
            key = (*path, index + offset)
            tree.places[key] = f"{file}:{source.lc.data[index][0] + 1}"
            if isinstance(value, CommentedMap):
                item: dict[str, Any] = {}
                into(item, value, key)
                items.append(item)
            elif isinstance(value, CommentedSeq):
                items.append(_items(value, key, 0))
            else:
                items.append(value)
        return items

    into(tree.values, document, ())


def _override(tree: _Tree, environ: Mapping[str, str]) -> None:
    """`DICOM_AI_NODE__NODE__PORT=104` replaces node.port; the value is read as YAML."""
    yaml = YAML(typ="safe", pure=True)
    for name, text in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        parts = tuple(part.lower() for part in name[len(ENVIRONMENT_PREFIX) :].split("__"))
        target = tree.values
        for part in parts[:-1]:
            below = target.setdefault(part, {})
            if not isinstance(below, dict):
                raise ConfigError(f"environment {name}: {part} has no keys below it")
            target = below
        try:
            target[parts[-1]] = yaml.load(text)
        except (YAMLError, ValueError, RecursionError):
            raise ConfigError(f"environment {name}: the value is not YAML") from None
        tree.places[parts] = f"environment {name}"


def _describe(error: ValidationError, tree: _Tree) -> list[str]:
    """Never echoes a value: it may be a secret."""
    problems = error.errors(include_url=False, include_input=False)
    lines = []
    for problem in problems:
        loc = problem["loc"]
        if problem["type"] == "too_short" and any(
            len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in problems
        ):
            continue  # a list whose items are wrong counts as empty, too
        place, key = tree.place(loc)
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key: check its spelling"
        elif problem["type"] == "missing":
            message = "is missing"
        elif problem["type"] == "tuple_type":
            message = "write a list, in brackets: [one, another]"
        lines.append(f"{place}: {key}: {message}" if key else f"{place}: {message}")
    return lines
