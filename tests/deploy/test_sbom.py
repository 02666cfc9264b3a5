"""The bill of materials: valid CycloneDX 1.6, and nothing that runs is missing in it."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from dicom_ai_node.config.store import read_package
from scripts import sbom
from scripts.lock import LOCK, TORCH, everywhere, needed
from tests.acceptance.bright import MODEL
from tests.deploy.small_wheels import make_wheel

SCHEMAS = Path(__file__).parent / "cyclonedx"  # of the specification, Apache-2.0


@cache
def _validator() -> Draft7Validator:
    schemas = {
        path.name.removesuffix(".schema.json.gz"): json.loads(gzip.decompress(path.read_bytes()))
        for path in SCHEMAS.glob("*.gz")
    }
    resources = [  # by the names that they have for each other
        (
            f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json",
            Resource.from_contents(schema, default_specification=DRAFT7),
        )
        for name, schema in schemas.items()
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft7Validator(schemas["bom-1.6"], registry=registry)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A model store with one model that has a card."""
    from dicom_ai_node.models.installation.install import install_folder

    folder = tmp_path / "bright"
    folder.mkdir()
    (folder / "model.yaml").write_text(json.dumps({**MODEL, "license": "MIT"}))
    (folder / "MODEL_CARD.md").write_text("# bright\n\nMarks bone. Trained on no\ndata at all.\n")
    install_folder(folder, tmp_path / "store")
    return tmp_path / "store"


def test_what_is_installed_and_the_models_make_a_valid_bill(store: Path) -> None:
    packages = sbom.installed_packages(sorted({*everywhere(), TORCH}), LOCK.read_text())
    model = sbom.model_component(read_package(store / "bright" / "1.0"))
    made = sbom.bill(packages, [model])

    assert [error.message for error in _validator().iter_errors(made)] == []
    there = {each["name"]: each for each in made["components"]}
    assert needed("3.11", "x86_64") | {TORCH, "bright"} <= set(there)
    assert there["pydicom"]["hashes"]
    assert all(each.get("licenses") for each in there.values())


def test_a_model_is_in_it_with_its_files_its_licence_and_what_it_learned_from(store: Path) -> None:
    model = sbom.model_component(read_package(store / "bright" / "1.0"))
    assert model["type"] == "machine-learning-model"
    assert model["licenses"] == [{"license": {"name": "MIT"}}]
    assert {each["name"] for each in model["components"]} >= {
        "models/bright/1.0/MODEL_CARD.md",
        "models/bright/1.0/model.yaml",
    }
    (learned,) = model["modelCard"]["modelParameters"]["datasets"]
    assert learned["description"] == "Trained on no data at all."


def test_a_wheel_is_in_it_with_its_own_hash(tmp_path: Path) -> None:
    _, sha256 = make_wheel(tmp_path, "tiny-part", "1.2")
    (package,) = sbom.wheel_packages(tmp_path)
    assert (package["purl"], package["hashes"][0]["content"]) == ("pkg:pypi/tiny-part@1.2", sha256)


def test_the_same_input_gives_the_same_bytes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    model = sbom.model_component(read_package(store / "bright" / "1.0"))
    first, second = sbom.bill([], [model]), sbom.bill([], [model])
    assert json.dumps(first) == json.dumps(second)
    assert first["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


def test_the_validator_finds_a_mistake(store: Path) -> None:
    made = sbom.bill([], [])
    made["components"] = [{"type": "a model", "name": "x"}]
    assert list(_validator().iter_errors(made))
