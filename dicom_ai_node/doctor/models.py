"""Installed models: every file is what was installed."""

from collections.abc import Iterator

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.manifest import hashes_of
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.store import read_store
from dicom_ai_node.doctor.finding import Finding, fail, ok
from dicom_ai_node.errors import ConfigError


def examine(config: Config) -> Iterator[Finding]:
    store = read_store(config.node.models, config.node.trusted_models)
    for model in store.models:
        yield _finding(model)
    for folder, fault in store.faults.items():
        yield fail(f"model in {folder.name}", fault, "install it again, or remove the folder")
    for route in config.routes:
        if store.find(route.model, route.version) is None:
            step = f"`dicom-ai-node models install {route.model}`, or take the route out"
            yield fail(f"route {route.label}", f"its model {route.model_label} is not there", step)


def _finding(model: InstalledModel) -> Finding:
    check = f"model {model.label}"
    step = f"keep the folder for whoever looks into it, and `models install {model.label}` again"
    try:
        found = hashes_of(model.folder)
    except (ConfigError, OSError) as error:
        return fail(check, f"its files cannot be compared: {error}", step)
    if found != model.files:
        return fail(check, "its files are not what was installed", step)
    return ok(check, f"{len(found)} files, unchanged")
