"""The small part of MONAI's configuration language that is read without running anything.

`@id::key` refers to another place of the configuration; `$…` is an expression, of which numbers,
texts, lists, references, arithmetic, comparisons and a choice by `if` are understood. Nothing here
imports, calls or looks up an attribute: what else a `$` says is the bundle's own code.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from dicom_ai_node.errors import ModelError

DEVICE = "torch.device"  # stands where the bundle names one: the package says where it runs
_MAX_TEXT = 500  # characters of an expression
_MAX_SHOWN = 80
_MAX_JOINED = 10_000  # characters, or members
_MAX_NUMBER = 2**63
_REFERENCE = re.compile(r"@(\w+(?:(?:::|#)\w+)*)")
_DTYPES = re.compile(r"(torch|np|numpy)\.(float32|float64|uint8|int64)")
_NAMES_OF_DEVICE = {"torch", "device", "cuda", "is_available"}

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class NotPlain(ModelError):
    """The bundle says something that only running its own code would answer."""


def evaluated(text: str, look_up: Callable[[str], Any]) -> Any:
    """What `$…` (given without its `$`) comes to; `look_up` answers references, by their id.

    Raises NotPlain.
    """
    source, names = text.strip(), {}
    for number, reference in enumerate(dict.fromkeys(_REFERENCE.findall(source))):
        names[f"_reference_{number}"] = reference
    by_reference = {reference: name for name, reference in names.items()}
    source = _REFERENCE.sub(lambda found: by_reference[found[1]], source)
    if _DTYPES.fullmatch(source):
        return source.partition(".")[2]
    try:
        if len(source) > _MAX_TEXT:
            raise NotPlain(f"it has an expression of {len(source)} characters")
        return _value(ast.parse(source, mode="eval").body, names, look_up)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError):
        raise beyond(text) from None


def reference_of(text: str) -> str | None:
    """The id of a text that is one reference and nothing else."""
    found = _REFERENCE.fullmatch(text)
    return found[1] if found else None


def beyond(text: str) -> NotPlain:
    shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
    return NotPlain(f"it has an expression that is code: ${shown}")


def _value(node: ast.expr, names: Mapping[str, str], look_up: Callable[[str], Any]) -> Any:
    def value(below: ast.expr) -> Any:
        return _value(below, names, look_up)

    match node:
        case ast.Constant(value=bool() | int() | float() | None):
            return node.value
        case ast.Constant(value=str() as text) if not any(name in text for name in names):
            return text
        case ast.List() | ast.Tuple():
            return [value(each) for each in node.elts]
        case ast.Name(id=name) if name in names:
            return look_up(names[name])
        case ast.Subscript(value=whole, slice=index):
            return value(whole)[value(index)]
        case ast.Call() if _is_device(node):
            return DEVICE
    return _operation(node, value)


def _operation(node: ast.expr, value: Callable[[ast.expr], Any]) -> Any:
    match node:
        case ast.UnaryOp(op=op) if type(op) in _UNARY:
            return _UNARY[type(op)](value(node.operand))
        case ast.BinOp(op=op) if type(op) in _BINARY:
            return _calculated(op, value(node.left), value(node.right))
        case ast.Compare(ops=[op], comparators=[other]) if type(op) in _COMPARE:
            return _COMPARE[type(op)](value(node.left), value(other))
        case ast.IfExp():
            return value(node.body) if value(node.test) else value(node.orelse)
    raise ValueError


def _calculated(op: ast.operator, left: Any, right: Any) -> Any:
    """Texts and lists are joined; else only numbers, or a short line could fill the memory."""
    joined = isinstance(op, ast.Add) and type(left) is type(right) and isinstance(left, (str, list))
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    if not (joined or numbers):
        raise TypeError
    found = _BINARY[type(op)](left, right)
    if (len(found) if joined else abs(found)) > (_MAX_JOINED if joined else _MAX_NUMBER):
        raise ValueError
    return found


def _is_device(node: ast.Call) -> bool:
    """`torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')` and the like."""
    if ast.unparse(node.func) != DEVICE:
        return False
    named = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    named |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    return named <= _NAMES_OF_DEVICE
