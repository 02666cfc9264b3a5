"""A model that answers at once: what is bright is bone."""

import json
from pathlib import Path

from dicom_ai_node.models.installation.install import install_folder

MODEL = {
    "name": "bright",
    "version": "1.0",
    "title": "Bright voxels",
    "kind": "threshold",
    "between": [300, 3000],
    "gate": {"modality": ["CT"], "body_part": ["CHEST"]},
    "segments": [
        {
            "number": 1,
            "label": "Bone",
            "category": "SCT:91723000:Anatomical Structure",
            "type": "SCT:272673000:Bone",
        }
    ],
}


def install_bright(home: Path) -> Path:
    """The model store, below `home`."""
    folder, store = home / "bright", home / "models"
    if not store.exists():
        folder.mkdir(parents=True)
        (folder / "model.yaml").write_text(json.dumps(MODEL))
        install_folder(folder, store)
    return store


def route(*peers: str) -> dict[str, object]:
    """CT to it, and its results to these."""
    require = [{"attr": "Modality", "op": "eq", "value": "CT"}]
    return {"model": "bright", "send_to": list(peers), "require": require}
