"""What of `probe` does not agree with the rest of the configuration."""

from collections.abc import Iterator
from ipaddress import ip_address

from dicom_ai_node.config.alarms import ProbeSettings
from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.config.settings import AcceptEntry, Config

Mistake = tuple[tuple[str | int, ...], str]  # the key, and what is to be done

RUNBOOK = "docs/runbook.md#the-probe"


def mistakes_of_probe(config: Config) -> Iterator[Mistake]:
    probe = config.probe
    if probe is None:
        return
    if not isinstance(config.peers.get(probe.peer), DimsePeer):
        known = [name for name, peer in config.peers.items() if isinstance(peer, DimsePeer)]
        there = ", ".join(known) or "none"
        text = f"there is no peer {probe.peer} of kind dimse under peers (there: {there})"
        yield ("probe", "peer"), text
    if not config.routes_of_probe(probe.model, probe.peer):
        text = (
            f"no route takes its study to {probe.model} and {probe.peer}: write one, with "
            f"`model: {probe.model}`, `send_to: [{probe.peer}]` and `{rule_of_probe(probe)}`, so "
            f"that no patient's study goes to it ({RUNBOOK})"
        )
        yield ("probe", "model"), text
    if config.node.port is None and probe.tls is None:
        text = "the node listens with TLS alone: give ca, certificate and key of the probe"
        yield ("probe", "tls"), text
    elif not any(_lets_in(entry, probe, config) for entry in config.accept):
        text = (
            f"{probe.ae_title} may not store here: add {{ae_title: {probe.ae_title}, from: "
            f"[{config.node.own_address}]}} to accept"
        )
        yield ("probe", "ae_title"), text


def rule_of_probe(probe: ProbeSettings) -> str:
    """For a route that is for its study alone."""
    return f"require: [{{attr: $calling_ae, op: eq, value: {probe.ae_title}}}]"


def _lets_in(entry: AcceptEntry, probe: ProbeSettings, config: Config) -> bool:
    """A host that is a name may be any address."""
    if entry.ae_title != probe.ae_title or "store" not in entry.may:
        return False
    if bool(entry.certificate) != (config.node.port is None):
        return False
    try:
        address = ip_address(config.node.own_address)
    except ValueError:
        return True
    return any(address in network for network in entry.from_)
