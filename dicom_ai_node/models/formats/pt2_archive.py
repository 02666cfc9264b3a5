"""Programs of torch.export (.pt2), freed of everything that `torch.export.load` would run.

As torch 2.13 reads them, an archive can bring code to execution in many ways: pickles (constants,
custom objects, example inputs), guards (given to `exec`), shapes (given to sympy, which evaluates
them), targets of nodes (any name that is reached from torch, `os.system` among them), and specs of
arguments (which import modules). So what is loaded is an archive that we write, and it holds only
what is known here: tensors as numbers, and a graph of torch's operators.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from dicom_ai_node.errors import ModelError

_GRAPH = "models/model.json"
_CONFIGS = (
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)
_SAMPLES = "data/sample_inputs/model.pt"
_PLAIN = ("archive_format", "archive_version", "byteorder", ".data/version")
_TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_[0-9]+")

# what a node may call; Python's own operators work on sizes
_OPERATORS = (
    *("getitem", "add", "sub", "mul", "floordiv", "truediv", "mod", "pow", "neg", "pos"),
    *("lt", "le", "gt", "ge", "eq", "ne", "and_", "or_"),
)
_TARGET = re.compile(
    # of names that begin with __, operators alone: the others are Python's, and reach everything
    r"torch\.ops\.(aten|prims)\.(?!from_file)((?!__)[a-z0-9_]+|__i?(and|or|xor|[lr]shift)__)"
    r"(\.(?!_)[a-z0-9_]+)?"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
    rf"|_operator\.({'|'.join(_OPERATORS)})"
    r"|math\.(ceil|floor|trunc|sqrt)"
    r"|torch\.sym_(int|float|max|min|not|ite|sqrt|sum)",
    re.IGNORECASE,
)
_REACHES = ("torch", "_operator", "math", "#")  # all else stays a word, such as a weight's name
# sizes: symbols (s0), numbers, and the functions of torch.utils._sympy
_SIZE = re.compile(
    r"(?:[su][0-9]+|[0-9]+(?:\.[0-9]+)?|[ ()+\-*/,<>=&|~]"
    r"|FloorDiv|CleanDiv|ModularIndexing|PythonMod|Mod|Where|Max|Min|CeilToInt|FloorToInt"
    r"|TruncToInt|IntTrueDiv|FloatTrueDiv|ToFloat|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|True|False"
    r"|Integer|Rational|Add|Mul|Pow|Symbol\('[su][0-9]+'(?:, [a-z]+=True)*\))*"
)
_TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")


def harmless(content: bytes) -> io.BytesIO:
    """The same program in an archive that runs nothing when it is loaded.

    Raises ModelError for one that needs more than that.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _written(_members(archive))
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError, KeyError) as error:
        raise ModelError(
            f"the program is no .pt2 archive of this torch ({type(error).__name__}): "
            "save it with torch.export.save"
        ) from None


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """By their names below the archive's one folder."""
    known: dict[str, bytes] = {}
    for entry in archive.infolist():
        name = entry.filename.partition("/")[2]
        if name in _PLAIN or _TENSOR.fullmatch(name):
            if entry.compress_type != zipfile.ZIP_STORED:  # as torch writes them; no bombs
                raise _refused("compressed members")
            known[name] = archive.read(entry)
        elif name in (_GRAPH, *_CONFIGS):
            known[name] = archive.read(entry)
        elif name.endswith((".pkl", ".pt")) and name != _SAMPLES:
            raise _refused("pickles")
        elif name.startswith(("data/constants/", "data/weights/", "data/aotinductor/", "models/")):
            raise _refused(f"the member {name[:60]!r}")
    for name in _CONFIGS:
        known[name] = _tensors_only(json.loads(known[name]))
    known[_GRAPH] = _plain_graph(json.loads(known[_GRAPH]))
    known[_SAMPLES] = b""  # a pickle, needed by nobody
    return known


def _written(members: dict[str, bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    made.seek(0)
    return made


def _tensors_only(config: dict[str, Any]) -> bytes:
    for entry in config["config"].values():
        if entry["use_pickle"] or not re.fullmatch(r"(weight|tensor)_[0-9]+", entry["path_name"]):
            raise _refused("pickled constants or objects")
    return json.dumps(config).encode()


def _plain_graph(program: dict[str, Any]) -> bytes:
    program["guards_code"] = []  # torch makes its own of the graph
    for symbol in program["range_constraints"]:
        _check_size(symbol)
    for entry in _objects(program):
        if "as_operator" in entry or "as_custom_obj" in entry:
            raise _refused("operators or objects as arguments")
        if isinstance(entry.get("metadata"), dict):
            entry["metadata"] = {}  # where in the source it came from
        target = str(entry.get("target", ""))
        if target.startswith(_REACHES) and not _TARGET.fullmatch(target):
            raise _refused(f"the operation {target[:60]!r}")
        if "expr_str" in entry:
            _check_size(entry["expr_str"])
        for spec in ("in_spec", "out_spec"):
            if isinstance(entry.get(spec), str) and entry[spec]:
                _check_tree(json.loads(entry[spec]))
    return json.dumps(program).encode()


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in list(value.values()):
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


def _check_size(expression: object) -> None:
    if not isinstance(expression, str) or not _SIZE.fullmatch(expression):
        raise _refused(f"the size {str(expression)[:60]!r}")


def _check_tree(spec: object) -> None:
    """A spec is [protocol, {type, context, children_spec}]; its context may name modules."""
    for entry in _objects(spec):
        context = entry.get("context")
        plain = context is None or context in ("null", "[]") or _is_words(context)
        if entry.get("type") not in _TREES or not plain:
            raise _refused("arguments or answers of other types than tuple, list and dict")


def _is_words(context: object) -> bool:
    words = json.loads(context) if isinstance(context, str) else context
    return isinstance(words, list) and all(isinstance(word, str) for word in words)


def _refused(what: str) -> ModelError:
    return ModelError(
        f"the program holds {what}, which torch might run when it loads them: export the network "
        "alone, or read the package and name its hash in node.trusted_models"
    )
