"""Which files an ONNX graph keeps its weights in.

Read from the bytes of onnx.proto3 (whose field numbers these are), since a runtime would open
whatever path the graph names, and the `onnx` package is not needed to run a graph.
"""

from collections.abc import Iterator

from dicom_ai_node.errors import ModelError

# message -> field -> the message that lies in it
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}
_DEEPEST = 100  # as protobuf itself


def external_files(graph: bytes) -> set[str]:
    """Their names, as the graph has them; ModelError for bytes that are no ONNX."""
    try:
        return set(_locations(memoryview(graph), "model", 0))
    except (IndexError, UnicodeDecodeError):
        raise ModelError("the graph is no ONNX file, or a part of one: export it again") from None


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ModelError("the graph is nested too deeply: export it again")
    entry: dict[int, memoryview] = {}
    for field, content in _fields(message):
        if kind == "entry":
            entry[field] = content
        elif field in _INSIDE[kind]:
            yield from _locations(content, _INSIDE[kind][field], depth + 1)
    if kind == "entry" and bytes(entry.get(1, b"")) == b"location":
        yield bytes(entry.get(2, b"")).decode()


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Those of wire type 2 (length-delimited); the others are passed over."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag >= 1 << 32:  # of which protobuf would drop the bits beyond
            raise IndexError
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                size, at = _varint(message, at)
                if at + size > len(message):
                    raise IndexError
                yield tag >> 3, message[at : at + size]
                at += size
            case 5:
                at += 4
            case _:
                raise IndexError


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError
