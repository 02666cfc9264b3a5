"""One file of YAML 1.2, read; where it cannot be, every message says the line and what to do.

What the parser says is never passed on: it repeats values, and one may be a password.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.tokens import AliasToken, TagToken

from dicom_ai_node.errors import ConfigError

MAX_FILE_BYTES = 1 << 20
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_OTHERWISE = (
    "this line, or the one above it, is no YAML: compare its indentation with its neighbours', and "
    "put text with special characters into quotes"
)
_ENDLESS = (
    "it repeats itself by anchors (& and *) without end, or thousands of times: write out what you "
    "mean"
)
_NO_DATE = "a date or a number that cannot be one: put it into quotes, or mend it"
_TAGGED = (
    "`!` gives this a type that it cannot have: take it away, or put text that begins with it into "
    "quotes"
)
_KEY_OF_KEYS = "a key is one word: put text with brackets into quotes"
_SAME_KEY = "a key is there twice, written differently: keep one of them"
_PLAIN = ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{each}" for each in _PLAIN)
_DEEPEST = 100
# words of the parser -> ours
_IN_WORDS = (
    (r"character '\\t'", "a tab: indent with spaces"),
    ("mapping values", "a colon that is in no place for one: put the text into quotes, or line up"),
    ("undefined alias", "`*` refers to an anchor that is not there: put the text into quotes"),
    ("found another document", "`---` begins a second document: move it to a file of its own"),
    ("unexpected end of stream", "a quote is opened, and not closed: close it"),
    (r"<stream end>|',' or", "a bracket is opened, and not closed before this: close it"),
    (r"but found '?\(?'[\]}]'", "a bracket is closed that was not opened: take it away"),
    ("cannot start any token", "text that begins with a special character: put it into quotes"),
    ("escape character", "a backslash between double quotes: use single quotes"),
    ("expected ':'|simple key", "a key without a colon: write `key: value`"),
    ("expected <block end>", "not indented as its neighbours: line it up with them, with spaces"),
    ("for merging", "`<<` merges keys, and there are none: refer to a mapping"),
)


def read_yaml(file: Path) -> CommentedMap:
    """The mapping in a file, its keys with their lines; raises ConfigError, a line a mistake."""
    text = _text(file)
    document = parse(text, str(file))
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ConfigError(
            f"{file}:1: expected keys, such as node:, peers: and routes:, each with its values "
            "indented below it"
        )
    return document


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(
                f"{file} is larger than {MAX_FILE_BYTES} bytes: is it configuration? If not, move "
                "it to another folder"
            )
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read ({error.strerror}): check its owner, and that it is a file"
        ) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{file}:{line}: not UTF-8 text (byte {error.start}): save the file as UTF-8"
        ) from None


def parse(text: str, place: str) -> Any:
    """As `read_yaml()`, of a text; `place` begins each message."""
    _refuse_depth(text, place)
    try:
        root = _parser().compose(text)
        if _repeats(root, most=len(text)):
            raise ConfigError(f"{place}:{_first_alias(text)}: {_ENDLESS}")
        if mistakes := list(_odd(root, place)):
            raise ConfigError("\n".join(mistakes))
        return _parser().load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        twice = list(_twice(text, place)) or [f"{place}:{line}: {_SAME_KEY}"]
        raise ConfigError("\n".join(twice)) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.count("\n")) + 1 if mark else 1
        raise ConfigError(f"{place}:{line}: {_in_words(error)}") from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError(f"{place}:{line}: a control character: take it away") from None
    except (YAMLError, RecursionError):
        raise ConfigError(f"{place}:1: {_OTHERWISE}") from None
    except KeyError:  # `!!bool` before what is none
        raise ConfigError(f"{place}:{_line_of_tag(text)}: {_TAGGED}") from None
    except ValueError:  # such as the 13th month
        raise ConfigError(f"{place}:{_line_of_dates(text)}: {_NO_DATE}") from None


def _parser() -> YAML:
    made = YAML(typ="rt", pure=True)  # round-trip: it alone remembers lines
    made.version = "1.2"
    made.composer.warn_double_anchors = False  # it would quote lines
    return made


def _refuse_depth(text: str, place: str) -> None:
    """The parser calls itself, and slows down with each bracket that is open."""
    depth, line = 0, 1
    for each in text:
        line += each == "\n"
        depth += (each in "[{") - (each in "]}")
        if depth > _DEEPEST:
            raise ConfigError(
                f"{place}:{line}: more than {_DEEPEST} brackets within brackets: is it "
                "configuration?"
            )


def _repeats(node: Node | None, *, most: int) -> bool:
    """Whether anchors make it larger than any text of this size could be: they can hold
    themselves, or ten times what holds ten times something."""
    waiting, number = [node], 0
    while waiting and number <= most:
        each = waiting.pop()
        number += 1
        if isinstance(each, MappingNode):
            waiting += [value for _, value in each.value]
        elif isinstance(each, SequenceNode):
            waiting += each.value
    return bool(waiting)


def _odd(root: Node | None, place: str) -> Iterator[str]:
    """What YAML can say and no configuration means: types of other programs, keys of keys."""
    waiting, seen = [root], set[int]()
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        here = f"{place}:{each.start_mark.line + 1}"
        if each.tag not in _PLAIN_TAGS:
            yield f"{here}: {_TAGGED}"
        elif isinstance(each, MappingNode):
            if not all(isinstance(key, ScalarNode) for key, _ in each.value):
                yield f"{here}: {_KEY_OF_KEYS}"
            waiting += [node for pair in each.value for node in pair]
        elif isinstance(each, SequenceNode):
            waiting += each.value


def _in_words(error: MarkedYAMLError) -> str:
    said = f"{error.context or ''} {error.problem or ''}"
    return next((words for found, words in _IN_WORDS if re.search(found, said)), _OTHERWISE)


def _twice(text: str, place: str) -> Iterator[str]:
    """Each key that a mapping has once more, with the line of the first."""
    for path, mapping in _mappings(_parser().compose(text), ""):
        first: dict[str, int] = {}
        for key, _ in mapping.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in first:
                before = first[name]
                here = f"{place}:{line}: {path}{name}"
                yield f"{here}: is there twice, first in line {before}: keep one of them"
            first.setdefault(name, line)


def _mappings(node: Node | None, path: str) -> Iterator[tuple[str, MappingNode]]:
    """Without what comes by an anchor for a second time."""
    waiting, seen = [(path, node)], set[int]()
    while waiting:
        path, each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, MappingNode):
            yield path, each
            waiting += [(f"{path}{key.value}.", value) for key, value in each.value]
        elif isinstance(each, SequenceNode):
            waiting += [(f"{path}{index}.", value) for index, value in enumerate(each.value)]


def _line_of_dates(text: str) -> int:
    """Of the first value that looks like one."""
    nodes = _mappings(_parser().compose(text), "")
    values = [value for _, mapping in nodes for _, value in mapping.value]
    dates = [each for each in values if isinstance(each, ScalarNode) and each.tag == _TIMESTAMP]
    return dates[0].start_mark.line + 1 if dates else 1


def _line_of_tag(text: str) -> int:
    """The line of the first `!`."""
    tokens = _parser().scan(text)
    return next((t.start_mark.line + 1 for t in tokens if isinstance(t, TagToken)), 1)


def _first_alias(text: str) -> int:
    """The line of the first `*`."""
    tokens = _parser().scan(text)
    return next((t.start_mark.line + 1 for t in tokens if isinstance(t, AliasToken)), 1)
