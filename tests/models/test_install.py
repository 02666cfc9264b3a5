"""From the catalogue into the model store."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from dicom_ai_node.config.store import find, installed, read_package
from dicom_ai_node.errors import ConfigError, ModelChanged
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.install import (
    CATALOGUE,
    catalogue,
    fetch,
    install,
    install_folder,
    verify,
)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip has no index and no folder of wheels."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


@pytest.fixture
def steps() -> list[str]:
    return []


def test_the_catalogue_describes_models_that_can_be_used() -> None:
    assert catalogue() == ["brain-mr", "demo-classification", "demo-detection", "threshold-ct"]


def test_a_model_without_weights_needs_no_network(
    tmp_path: Path, no_network: None, steps: list[str]
) -> None:
    model = install("threshold-ct", tmp_path / "store", steps.append)
    assert installed(tmp_path / "store") == [model]
    assert (model.folder / "MODEL_CARD.md").is_file()
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["threshold-ct"]
    assert steps == []
    open_model(model)


def test_another_version_stays_beside_it(tmp_path: Path, steps: list[str]) -> None:
    source = tmp_path / "package"
    shutil.copytree(CATALOGUE / "threshold-ct", source)
    description = source / "model.yaml"
    description.write_text(description.read_text().replace("version: 1.0.0", "version: 0.9.0"))
    older = install_folder(source, tmp_path / "store")
    newer = install("threshold-ct", tmp_path / "store", steps.append)
    assert installed(tmp_path / "store") == [older, newer]
    assert find(tmp_path / "store", "threshold-ct") == newer
    assert find(tmp_path / "store", "threshold-ct", "0.9.0") == older
    assert older.sha256 != newer.sha256


def test_a_package_that_was_changed_in_the_store_is_not_used(
    tmp_path: Path, steps: list[str]
) -> None:
    """Until it is installed again; what it was is what its Device UID says."""
    model = install("threshold-ct", tmp_path, steps.append)
    description = model.folder / "model.yaml"
    description.write_text(description.read_text() + "timeout_s: 5\n")
    with pytest.raises(ConfigError, match=r"model\.yaml was changed after it was installed"):
        find(tmp_path, "threshold-ct")
    assert install("threshold-ct", tmp_path, steps.append) == model


def test_a_file_that_was_added_is_named(tmp_path: Path, steps: list[str]) -> None:
    model = install("threshold-ct", tmp_path, steps.append)
    verify(model)
    (model.folder / "more.bin").touch()
    with pytest.raises(ModelChanged, match=r"were not installed: more\.bin"):
        verify(model)


def test_a_name_that_is_not_in_the_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model lung-ct .*brain-mr, threshold-ct"):
        install("lung-ct", tmp_path, print)


def test_without_a_network_the_store_stays_as_it_was(
    tmp_path: Path, no_network: None, steps: list[str]
) -> None:
    with pytest.raises(ConfigError, match=r"pip could not fetch deepbet==1\.0\.2"):
        install("brain-mr", tmp_path, steps.append)
    assert list(tmp_path.iterdir()) == []
    assert "deepbet==1.0.2" in steps[0]


def test_a_wheel_with_another_hash_is_refused(
    tmp_path: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
        archive.writestr("demo-1.0.dist-info/METADATA", metadata)
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("demo-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ConfigError, match=r"(?i)pip could not fetch demo==1.0 .*hash"):
        fetch("demo==1.0", "0" * 64, into)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert fetch("demo==1.0", sha256, into).read_bytes() == wheel.read_bytes()


@pytest.mark.weights
def test_weights_are_those_that_the_description_names(model_store: Path) -> None:
    model = find(model_store, "brain-mr")
    verify(model)
    assert (model.folder / "LICENSE").read_text().startswith("MIT License")
    assert "deepbet" in (model.folder / "MODEL_CARD.md").read_text()


@pytest.mark.weights
def test_a_second_installation_needs_no_network(
    model_store: Path, no_network: None, steps: list[str]
) -> None:
    assert install("brain-mr", model_store, steps.append) == find(model_store, "brain-mr")
    assert steps == []


@pytest.mark.weights
def test_changed_weights_are_never_loaded(model_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "brain-mr" / "1.0.0"
    shutil.copytree(find(model_store, "brain-mr").folder, folder)
    model = read_package(folder)
    with (folder / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    for use in (verify, open_model):
        with pytest.raises(ModelChanged, match=r"not the one that was installed: install"):
            use(model)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ModelChanged, match="cannot be read"):
        open_model(model)
