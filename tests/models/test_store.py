"""The model store as an administrator leaves it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicom_ai_node.config.manifest import MANIFEST, hashes_of, manifest_bytes
from dicom_ai_node.config.store import (
    find,
    installed,
    read_description,
    read_package,
    read_store,
    version_order,
)
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.installation.install import CATALOGUE

MODEL_YAML = (CATALOGUE / "threshold-ct" / "model.yaml").read_text()


# a billion in ten lines
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


def add(store: Path, name: str, text: str | None = None) -> Path:
    folder = store / name / "1.0.0"
    folder.mkdir(parents=True)
    content = MODEL_YAML.replace("threshold-ct", name) if text is None else text
    (folder / "model.yaml").write_text(content)
    (folder / MANIFEST).write_bytes(manifest_bytes(hashes_of(folder)))
    return folder


def test_models_are_listed_by_name_with_the_hash_of_their_files(tmp_path: Path) -> None:
    add(tmp_path, "second")
    folder = add(tmp_path, "first")
    (tmp_path / "lost+found").mkdir()
    add(tmp_path, ".first-abc")
    first, second = installed(tmp_path)
    assert (first.package.name, second.package.name) == ("first", "second")
    assert first.sha256 == hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    assert find(tmp_path, "first") == first


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert installed(tmp_path / "models") == []


def test_an_unknown_model_is_answered_with_those_that_are_there(tmp_path: Path) -> None:
    add(tmp_path, "first")
    with pytest.raises(ConfigError, match=r"brain-mr is not in .*there: first"):
        find(tmp_path, "brain-mr")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", r"model.yaml:\d+: "),
        ("", "model.yaml: "),
        ("- 1", "model.yaml: "),
        ("kind: pickle", "model.yaml: kind: write one of .*'torch'.*'threshold'"),
        (MODEL_YAML.replace("kind: threshold", ""), "model.yaml: kind: is missing"),
        (MODEL_YAML.replace("version: 1.0.0", "version: 1.0"), "version: is no text: .*quotes"),
        (MODEL_YAML.replace("[CT]", "CT"), "gate.modality: is no list: .*brackets"),
        ("title: " + 20_000 * "[", "model.yaml: lists or keys are nested too deeply"),
        (MODEL_YAML.replace("gate:", "gates:"), "model.yaml: gates: unknown key"),
        (MODEL_YAML.replace("between: ", "between: 7 #"), "model.yaml: between: "),
        (MODEL_YAML + "\nname: twice", "model.yaml:.*duplicate key"),
        (MODEL_YAML.replace("version: 1.0.0", ""), "model.yaml: version: is missing"),
        (MODEL_YAML, "they must be equal"),
        (MODEL_YAML + "\nversion2: 2024-13-45", "model.yaml: a value cannot be read .*month"),
        ("a: &a [*a]", "model.yaml: it repeats itself"),
        (BOMB, "model.yaml: it repeats itself"),
    ],
)
def test_a_description_that_cannot_be_used_names_file_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_package(add(tmp_path, "bad", text))


def test_a_list_with_a_mistake_in_it_is_not_called_empty_as_well(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(
        "{kind: onnx, name: x, version: '1', title: X, graph: {file: x.onnx}, "
        "outputs: [{task: segment}]}"
    )
    with pytest.raises(ConfigError) as refused:
        read_description(tmp_path)
    (line,) = str(refused.value).splitlines()
    assert "model.yaml: outputs.0.task: write one of 'segmentation', " in line


def test_a_package_that_cannot_be_used_hides_no_other(tmp_path: Path) -> None:
    folder = add(tmp_path, "bad", "name: [")
    good = add(tmp_path, "good")
    store = read_store(tmp_path)
    assert [each.folder for each in store.models] == [good]
    assert list(store.faults) == [folder]
    with pytest.raises(ConfigError, match=r"bad/1\.0\.0/model\.yaml:\d+: "):
        find(tmp_path, "bad")


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into every folder")
def test_a_folder_that_is_not_ours_to_read_is_no_model(tmp_path: Path) -> None:
    """Such as lost+found, where the store is a disk of its own."""
    (tmp_path / "lost+found").mkdir(mode=0)
    good = add(tmp_path, "good")
    assert [each.folder for each in read_store(tmp_path).models] == [good]


def test_versions_are_in_their_order() -> None:
    versions = ["1.10.0", "1.9.0", "1.0.0", "1.0.0-rc1", "1.0"]
    assert max(versions, key=version_order) == "1.10.0"
    assert version_order("1.0.0-rc1") < version_order("1.0.0")


def test_a_description_that_is_not_text_says_so(tmp_path: Path) -> None:
    folder = add(tmp_path, "bad")
    (folder / "model.yaml").write_bytes("title: Caf\xe9".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"model.yaml: not UTF-8 text \(byte 10\)"):
        read_package(folder)


def test_a_folder_without_a_description_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"manifest.json cannot be read \(No such file"):
        read_package(tmp_path)


def test_reading_the_store_loads_no_model_software() -> None:
    code = (
        "import sys, dicom_ai_node.config.store; "
        "print(sorted({'torch', 'highdicom', 'monai', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
