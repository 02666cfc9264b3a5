"""Weights come out of an archive as written, and nothing else comes out of it."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.installation.torchscript_weights import read_torchscript


def archive(data_pkl: bytes, **storages: bytes) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("net/data.pkl", data_pkl)
        for key, content in storages.items():
            file.writestr(f"net/data/{key.removeprefix('s')}", content)
    stream.seek(0)
    return stream


def layer(*attributes: bytes, name: bytes = b"Net") -> bytes:
    """A layer as TorchScript writes it: an object of a generated class, and its attributes."""
    return b"c__torch__.models\n" + name + b"\n)\x81}(" + b"".join(attributes) + b"ub"


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


def tensor(
    key: str, count: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0
) -> bytes:
    pid = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    pid += number(count) + b"tQ"
    rest = number(offset) + numbers(*size) + numbers(*stride) + b"\x89"
    rest += b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + rest + b"tR"


def program(root: bytes) -> bytes:
    return b"\x80\x02" + root + b"."


def test_tensors_are_named_by_their_layers() -> None:
    weights = np.arange(6, dtype="<f4")
    inner = layer(text("weight"), tensor("0", 6, (2, 3), (3, 1)), name=b"Conv3d")
    outer = layer(text("training"), b"\x89", text("init"), inner)
    arrays = read_torchscript(archive(program(outer), s0=weights.tobytes()))
    assert list(arrays) == ["init.weight"]
    np.testing.assert_array_equal(arrays["init.weight"], weights.reshape(2, 3))


class _Hostile:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("function", "argument"),
    [(os.system, "touch {}"), (eval, "open({!r}, 'w')"), (exec, "open({!r}, 'w')")],
)
def test_code_in_the_pickle_is_refused_and_not_run(
    tmp_path: Path, function: object, argument: str
) -> None:
    trace = tmp_path / "it ran"
    hostile = pickle.dumps(_Hostile(function, argument.format(str(trace))), protocol=2)
    with pytest.raises(ModelError, match="which is not weights"):
        read_torchscript(archive(hostile))
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    ["os\nsystem", "builtins\ngetattr", "torch\nload", "torch.storage\n_load_from_bytes",
     "numpy\nload", "importlib\nimport_module", "__torchx\nNet", "torch._utils\n_rebuild_qtensor"],
)  # fmt: skip
def test_only_layers_and_tensors_have_names(name: str) -> None:
    with pytest.raises(ModelError, match="which is not weights"):
        read_torchscript(archive(program(f"c{name}\n".encode())))


def test_our_own_rebuilder_cannot_be_rewritten_from_the_pickle() -> None:
    rewrite = b"ctorch._utils\n_rebuild_tensor_v2\n}(" + text("__call__") + text("x") + b"ub"
    with pytest.raises(ModelError, match="cannot be read"):
        read_torchscript(archive(program(rewrite)))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (tensor("0", 7, (7,), (1,)), "wrong size"),
        (tensor("1", 6, (6,), (1,)), "cannot be read"),
        (tensor("../data.pkl", 6, (6,), (1,)), "cannot be read"),
        (tensor("0", 6, (3, 2), (1, 3)), "not stored contiguously"),
        (tensor("0", 6, (6,), (1,), offset=3), "cannot be read"),
    ],
)
def test_a_tensor_that_is_not_all_there_is_refused(entry: bytes, message: str) -> None:
    data = archive(program(layer(text("weight"), entry)), s0=bytes(24))
    with pytest.raises(ModelError, match=message):
        read_torchscript(data)


@pytest.mark.parametrize(
    "content", [b"", b"not a pickle", program(b"}"), program(b"N"), b"\x80\x02(."]
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError):
        read_torchscript(archive(content))


def test_a_file_that_is_no_archive_is_refused() -> None:
    with pytest.raises(ModelError, match="not a TorchScript archive"):
        read_torchscript(io.BytesIO(b"text"))
