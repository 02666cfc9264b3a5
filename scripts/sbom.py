"""The software bill of materials: CycloneDX 1.6, Python packages and models alike.

    python -m scripts.sbom --out sbom.cdx.json [--models MODEL_STORE] [--wheels FOLDER]

Packages are those that the node needs of what is installed beside it, or what lies in FOLDER. The
same input gives the same bytes; SOURCE_DATE_EPOCH, where it is set, is its time.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from packaging.utils import canonicalize_name

from dicom_ai_node import __version__
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.store import read_store
from scripts.lock import LOCK, TORCH, everywhere

NODE = "dicom-ai-node"
CARD = "MODEL_CARD.md"

Json = dict[str, Any]


def bill(packages: Sequence[Json], models: Sequence[Json]) -> Json:
    components = sorted([*packages, *models], key=lambda each: str(each["bom-ref"]))
    node = {
        "type": "application",
        "bom-ref": _purl(NODE, __version__),
        "name": NODE,
        "version": __version__,
        "purl": _purl(NODE, __version__),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    metadata: Json = {"component": node, "lifecycles": [{"phase": "build"}]}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        metadata["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    depends = [{"ref": node["bom-ref"], "dependsOn": [each["bom-ref"] for each in components]}]
    content = json.dumps([metadata, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": depends,
    }


def installed_packages(names: Iterable[str], lock: str) -> list[Json]:
    """Hashes are those of the lock: the wheels that may have been installed, one for each Python
    and processor."""
    found = []
    for name in names:
        try:
            metadata = distribution(name).metadata
        except PackageNotFoundError:  # for another Python or processor than this one
            continue
        found.append(_package(metadata, locked_hashes(lock, name)))
    return found


def wheel_packages(folder: Path) -> list[Json]:
    found = []
    for wheel in sorted(folder.glob("*.whl")):
        with ZipFile(wheel) as archive, wheel.open("rb") as file:
            (name,) = (each for each in archive.namelist() if re.fullmatch(_METADATA, each))
            metadata = HeaderParser().parsestr(archive.read(name).decode())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if canonicalize_name(metadata["Name"]) != NODE:
            found.append(_package(metadata, [sha256]))
    return found


_METADATA = r"[^/]+\.dist-info/METADATA"


def locked_hashes(lock: str, name: str) -> list[str]:
    entry = re.search(rf"(?m)^{re.escape(name)}==.*(?:\n    --hash.*)*", lock)
    return re.findall(r"sha256:([0-9a-f]{64})", entry.group(0)) if entry else []


def _package(metadata: Message | Any, hashes: Sequence[str]) -> Json:
    name, version = canonicalize_name(metadata["Name"]), metadata["Version"]
    found: Json = {
        "type": "library",
        "bom-ref": _purl(name, version),
        "name": name,
        "version": version,
        "purl": _purl(name, version),
        "hashes": [{"alg": "SHA-256", "content": each} for each in sorted(hashes)],
        "licenses": _licenses(metadata),
    }
    return {key: value for key, value in found.items() if value}


def _licenses(metadata: Message | Any) -> list[Json]:
    """An SPDX expression where the package has one, else its own short words."""
    if expression := metadata["License-Expression"]:
        return [{"expression": expression}]
    classified = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    words = (metadata["License"] or "").strip()
    names = [words] if words and len(words) <= 64 and "\n" not in words else classified
    return [{"license": {"name": name}} for name in names]


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version.replace('+', '%2B')}"


def model_component(model: InstalledModel) -> Json:
    """One model: its files with their hashes, its licence, what it is for, what it learned from."""
    package = model.package
    place = f"models/{package.name}/{package.version}"
    reference = f"pkg:generic/{package.name}@{package.version}?checksum=sha256:{model.sha256}"
    files = [
        {
            "type": "data" if name.endswith((".npz", ".safetensors", ".pt2", ".onnx")) else "file",
            "bom-ref": f"{reference}#{name}",
            "name": f"{place}/{name}",
            "hashes": [{"alg": "SHA-256", "content": sha256}],
        }
        for name, sha256 in sorted(model.files.items())
    ]
    card: Json = {"considerations": {"useCases": [package.intended_use]}}
    if data := _training_data(model.folder / CARD):
        datasets = [{"type": "dataset", "name": f"{place}/{CARD}", "description": data}]
        card["modelParameters"] = {"datasets": datasets}
    component: Json = {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "description": package.title,
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": model.sha256}],
        "licenses": [{"license": {"name": package.license}}],
        "modelCard": card,
        "components": files,
    }
    if CARD in model.files:
        pointer = {"type": "model-card", "url": f"{place}/{CARD}"}
        component["externalReferences"] = [pointer]
    return component


def _training_data(card: Path) -> str:
    """The sentences of a model card that speak of training; "" where it says nothing."""
    if not card.is_file():
        return ""
    text = " ".join(card.read_text(encoding="utf-8").replace("**", "").split())
    sentences = re.split(r"(?<=[.:;])\s+", text)
    return " ".join(each for each in sentences if re.search(r"\b[Tt]rain(ed|ing)\b", each))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, help="a model store")
    parser.add_argument("--wheels", type=Path, help="instead of what is installed")
    given = parser.parse_args()
    if given.wheels:
        packages = wheel_packages(given.wheels)
    else:
        names = sorted({*everywhere(), TORCH})
        packages = installed_packages(names, LOCK.read_text())
    store = read_store(given.models).models if given.models else ()
    made = bill(packages, [model_component(model) for model in store])
    given.out.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    sys.stdout.write(f"{given.out}: {len(packages)} packages, {len(store)} models\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
