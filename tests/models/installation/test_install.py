"""From the catalogue into the model store."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.store import find, installed, read_package
from dicom_ai_node.errors import ConfigError, ModelChanged
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import (
    CATALOGUE,
    Terms,
    catalogue,
    install,
    install_folder,
    install_source,
    verify,
)
from dicom_ai_node.models.installation.placing import building_site, remove
from dicom_ai_node.models.installation.wheel import fetch_wheel


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip has no index and no folder of wheels."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


@pytest.fixture
def steps() -> list[str]:
    return []


NETWORK = """\
name: small
version: 1.0.0
title: A small network
kind: torch
network:
  name: BasicUNet
  arguments: {spatial_dims: 3, out_channels: 2, features: [2, 2, 2, 2, 2, 2]}
weights: {file: weights.pt}
outputs: [{task: segmentation, postprocess: [{name: AsDiscrete, argmax: true}]}]
segments:
  - {number: 1, label: Bone, category: "SCT:91723000:Organ", type: "SCT:272673000:Bone"}
"""


class Malice:
    """Unpickled by a program that does not look, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of a package as its author has it."""
    return Path(shutil.copytree(CATALOGUE / "threshold-ct", tmp_path / "package"))


def network_package(folder: Path, weights: Path | None = None) -> Path:
    folder.mkdir()
    (folder / "model.yaml").write_text(NETWORK)
    if weights is not None:
        shutil.copy(weights, folder / "weights.pt")
    return folder


def change(package: Path, old: str, new: str) -> None:
    text = (package / "model.yaml").read_text()
    assert old in text
    (package / "model.yaml").write_text(text.replace(old, new))


def test_the_catalogue_describes_models_that_can_be_used() -> None:
    assert catalogue() == [
        *("brain-mr", "demo-classification", "demo-detection"),
        *("lung-ct", "lung-cxr", "threshold-ct"),
    ]


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
    with pytest.raises(ConfigError, match=r"no model bone-ct .*brain-mr, .*lung-ct"):
        install("bone-ct", tmp_path, print)


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
        fetch_wheel("demo==1.0", "0" * 64, into)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert fetch_wheel("demo==1.0", sha256, into).read_bytes() == wheel.read_bytes()


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


def test_the_same_package_again_changes_nothing(package: Path, tmp_path: Path) -> None:
    first = install_folder(package, tmp_path / "store")
    before = (first.folder / "model.yaml").stat().st_ino
    assert install_folder(package, tmp_path / "store") == first
    assert (first.folder / "model.yaml").stat().st_ino == before


def test_a_version_never_means_two_things(package: Path, tmp_path: Path) -> None:
    """Results name a model by its version: other files want another one, or a decision."""
    first = install_folder(package, tmp_path / "store")
    change(package, "[300, 3000]", "[200, 3000]")
    with pytest.raises(ConfigError, match=r"with other files: raise the version .*--replace"):
        install_folder(package, tmp_path / "store")
    assert installed(tmp_path / "store") == [first]
    second = install_folder(package, tmp_path / "store", Terms(replace=True))
    assert installed(tmp_path / "store") == [second]
    assert second.sha256 != first.sha256
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["threshold-ct"]


def test_a_package_that_was_harmed_is_put_right_by_the_same_one(
    package: Path, tmp_path: Path
) -> None:
    model = install_folder(package, tmp_path / "store")
    (model.folder / "MODEL_CARD.md").write_text("For everything.")
    with pytest.raises(ModelChanged):
        verify(model)
    assert install_folder(package, tmp_path / "store") == model
    verify(model)


def test_a_package_that_is_refused_leaves_the_store_as_it_was(
    package: Path, tmp_path: Path
) -> None:
    """`check` sees it whole and pinned; what it raises is raised, and nothing came in."""
    seen: list[InstalledModel] = []

    def check(model: InstalledModel) -> None:
        verify(model)
        seen.append(model)
        raise ConfigError("not this one")

    with pytest.raises(ConfigError, match="not this one"):
        install_folder(package, tmp_path / "store", Terms(check=check))
    assert [model.label for model in seen] == ["threshold-ct 1.0.0"]
    assert list((tmp_path / "store").iterdir()) == []


def test_an_installation_that_was_killed_is_cleared_away_by_the_next(
    package: Path, tmp_path: Path
) -> None:
    """And what it had already taken out of the store is put back."""
    store = tmp_path / "store"
    model = install_folder(package, store)
    code = f"""
import os
from pathlib import Path
from dicom_ai_node.models.installation import placing
Path.rename = lambda self, to, rename=Path.rename: (
    os._exit(9) if self.name == "new" else rename(self, to)
)
with placing.building_site(Path({str(store)!r})) as site:
    (site / "new").mkdir()
    placing.place(site / "new", Path({str(model.folder)!r}), site)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert installed(store) == []
    with building_site(store):
        assert installed(store) == [model]
    assert [path.name for path in store.iterdir()] == ["threshold-ct"]


def test_a_version_is_removed_and_the_others_stay(package: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = install_folder(package, store)
    change(package, "version: 1.0.0", "version: 2.0.0")
    second = install_folder(package, store)
    remove(first.folder, store)
    assert installed(store) == [second]
    remove(second.folder, store)
    assert list(store.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weights.pt}", "other.pt}", r"names other\.pt, which is not in the package"),
        ("weights.pt}", f"weights.pt, sha256: {'a' * 64}}}", "has the SHA-256"),
        ("kind: torch", "kind: torch\nknown_answer: known", "no such folder"),
    ],
)
def test_a_description_that_does_not_fit_the_files_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "w.pt")
    package = network_package(tmp_path / "package", tmp_path / "w.pt")
    change(package, old, new)
    with pytest.raises(ConfigError, match=message):
        install_folder(package, tmp_path / "store")


def test_a_source_that_is_nothing_is_answered_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no folder, no archive.*brain-mr"):
        install_source(str(tmp_path / "none.zip"), tmp_path / "store", print)
    (tmp_path / "model.rar").touch()
    with pytest.raises(ConfigError, match=r"neither a folder nor a \.zip"):
        install_source(str(tmp_path / "model.rar"), tmp_path / "store", print)


def test_weights_without_code_are_taken(tmp_path: Path) -> None:
    for name, save in (("a", torch.save), ("b", save_file)):
        save({"x": torch.zeros(3), "n": torch.ones(1)}, tmp_path / name)
        install_folder(
            network_package(tmp_path / f"p-{name}", tmp_path / name), tmp_path / f"store-{name}"
        )


@pytest.mark.fault("E13")
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["weights.pt", "anything.bin", "plans.pkl"])
def test_a_pickle_is_not_installed(tmp_path: Path, protocol: int, name: str) -> None:
    made = tmp_path / "made"
    package = network_package(tmp_path / "package")
    (package / name).write_bytes(pickle.dumps(Malice(made), protocol))
    with pytest.raises(ConfigError, match=f"{name} is a pickle, which runs code"):
        install_folder(package, tmp_path / "store")
    assert not made.exists()
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.fault("E13")
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_with_code_in_it_is_not_installed(tmp_path: Path, zipped: bool) -> None:
    made = tmp_path / "made"
    torch.save(
        {"x": torch.zeros(3), "more": Malice(made)},
        tmp_path / "w.pt",
        _use_new_zipfile_serialization=zipped,
    )
    package = network_package(tmp_path / "package", tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"weights\.pt (holds more than tensors|is a pickle)"):
        install_folder(package, tmp_path / "store")
    assert not made.exists()


@pytest.mark.fault("E12")
@pytest.mark.parametrize("harm", ["changed", "cut off", "gone", "another file"])
def test_what_happened_to_weights_is_seen_before_they_are_used(tmp_path: Path, harm: str) -> None:
    torch.save({"x": torch.zeros(3)}, tmp_path / "w.pt")
    package = network_package(tmp_path / "package", tmp_path / "w.pt")
    model = install_folder(package, tmp_path / "store")
    weights = model.folder / "weights.pt"
    content = weights.read_bytes()
    if harm == "changed":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "cut off":
        weights.write_bytes(content[: len(content) // 2])
    elif harm == "gone":
        weights.unlink()
    else:
        torch.save({"x": torch.ones(3)}, weights)
    for use in (verify, open_model):
        with pytest.raises(ModelChanged, match=r"weights\.pt of small 1\.0\.0"):
            use(model)


@pytest.mark.parametrize("lacking", ["bundle/models/model.pt", "bundle/configs/inference.json"])
def test_a_bundle_without_its_files_is_not_installed(tmp_path: Path, lacking: str) -> None:
    """At the first study it would be taken for one that was changed, and be disabled."""
    source = tmp_path / "package"
    for file in ("bundle/models/model.pt", "bundle/configs/inference.json"):
        (source / file).parent.mkdir(parents=True)
        (source / file).write_bytes(b"")
    (source / lacking).unlink()
    (source / "model.yaml").write_text(
        "{name: b, version: 1.0.0, title: B, kind: monai_bundle, outputs: [{task: classification, "
        'classes: [{channel: 0, label: x, finding: "SCT:72704001:Fracture"}]}]}'
    )
    with pytest.raises(ConfigError, match=rf"names {lacking}, which is not in the package"):
        install_folder(source, tmp_path / "store")


def test_a_module_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "weights.pt")
    package = network_package(tmp_path / "package", tmp_path / "weights.pt")
    change(package, "name: BasicUNet", "name: BasicUNet\n  file: own.py")
    with pytest.raises(ConfigError, match=r"names own\.py, which is not in the package"):
        install_folder(package, tmp_path / "store")


def test_a_package_that_changes_itself_while_it_is_tried_stays_out(
    tmp_path: Path, package: Path
) -> None:
    def check(model: InstalledModel) -> None:
        (model.folder / "cache").write_text("of a program that writes beside its code")

    with pytest.raises(ModelChanged, match="has files that were not installed: cache"):
        install_folder(package, tmp_path / "store", Terms(check=check))
    assert installed(tmp_path / "store") == []


def test_who_removes_what_is_gone_is_told(tmp_path: Path, package: Path) -> None:
    model = install_folder(package, tmp_path / "store")
    remove(model.folder, tmp_path / "store")
    with pytest.raises(ConfigError, match="is gone already"):
        remove(model.folder, tmp_path / "store")
