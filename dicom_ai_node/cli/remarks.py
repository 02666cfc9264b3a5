"""What `check` says of a configuration that is right, and may not be what somebody meant."""

from collections.abc import Iterator
from pathlib import Path

from dicom_ai_node.config.alarms_check import RUNBOOK, rule_of_probe
from dicom_ai_node.config.disabled import read_disabled
from dicom_ai_node.config.installed import model_label
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.store import read_store
from dicom_ai_node.form import Form, ReportForm, Segmentation
from dicom_ai_node.ownership import doubts


def remarks(config: Config, directory: Path) -> Iterator[str]:
    """Each a sentence with its next step; where it is of a key, that comes first."""
    yield from doubts(config, directory)
    if not config.accept:
        yield "nobody may store yet, and the node will not start: name your PACS under accept:"
    if not config.routes:
        yield "no study is analysed: write under routes which model takes which series"
    yield from open_to_all(config)
    yield from _unseen(config)
    yield from _models(config)


def open_to_all(config: Config) -> Iterator[str]:
    """Routes of the probe's model and peer that nothing keeps from patients' studies."""
    probe = config.probe
    if probe is None:
        return
    for index, route in enumerate(config.routes):
        is_of_probe = route.model == probe.model and probe.peer in route.send_to
        if is_of_probe and not route.has_rules and not route.inputs:
            yield (
                f"routes.{index}.model: this route has no rule, so that it takes patients' studies "
                f"too: if it is for the probe alone, add `{rule_of_probe(probe)}` ({RUNBOOK})"
            )


def _unseen(config: Config) -> Iterator[str]:
    """Peers that show nothing of a result, and routes all of whose peers are so."""
    blind = {
        name for name, peer in config.peers.items() if all(map(_is_empty, peer.results.ladder))
    }
    for name in sorted(blind):
        yield (
            f"peers.{name}.results: it is sent nothing, since all forms are none: name one that it "
            "takes"
        )
    for index, route in enumerate(config.routes):
        if blind.issuperset(route.send_to):
            yield f"routes.{index}.send_to: no peer of this route shows any of its results"


def _is_empty(form: Form) -> bool:
    marks = form.segmentation is not Segmentation.NONE
    return not (marks or form.report is not ReportForm.NONE or form.companions)


def _models(config: Config) -> Iterator[str]:
    store, disabled = read_store(config.node.models), read_disabled(config.node.models)
    for fault in store.faults.values():
        yield f"in the model store, and cannot be used: {fault}"
    labels = store.by_label()
    routed = {labels[each.model_label].label for each in config.routes}
    for switch in disabled.values():
        if model_label(switch.model, switch.version) in routed:
            yield (
                f"jobs of it wait: {switch.sentence}: `dicom-ai-node models enable {switch.model}` "
                "lets them run"
            )
