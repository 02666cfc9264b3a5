"""Whether the parts of a configuration agree: each is right, and the whole may not be."""

from collections.abc import Iterator

from dicom_ai_node.config.alarms_check import mistakes_of_probe
from dicom_ai_node.config.inputs import mistakes_of_inputs
from dicom_ai_node.config.peers import DimsePeer, is_loopback
from dicom_ai_node.config.privacy_check import mistakes_of_privacy
from dicom_ai_node.config.senders import contradictions
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.tree import Tree
from dicom_ai_node.config.web_check import mistakes_of_web


def disagreements(config: Config, tree: Tree) -> Iterator[str]:
    """Each part is right, and the whole is not."""
    labels = [route.label for route in config.routes]
    for index, route in enumerate(config.routes):
        place, key = tree.place(("routes", index, "send_to"))
        known = ", ".join(config.peers) or "none"
        for peer in route.send_to:
            if peer not in config.peers:
                yield f"{place}: {key}: there is no peer {peer} under peers (there: {known})"
        if route.label in labels[:index]:
            place, _ = tree.place(("routes", index, "model"))
            yield f"{place}: routes.{index}: two routes are called {route.label}: give one a name"
    for loc, mistake in (
        *mistakes_of_inputs(config),
        *contradictions(config),
        *mistakes_of_web(config.web),
        *mistakes_of_probe(config),
        *mistakes_of_privacy(config),
    ):
        place, key = tree.place(loc)
        yield f"{place}: {key}: {mistake}"
    yield from _unanswerable(config, tree)
    yield from _unreported(config, tree)
    yield from _unfetchable(config, tree)
    yield from _unprotected(config, tree)
    yield from _same_ports(config, tree)


def _same_ports(config: Config, tree: Tree) -> Iterator[str]:
    """Each listener needs one of its own; 0 is any that is free."""
    node, taken = config.node, dict[int, str]()
    ports = {
        ("node", "port"): node.port,
        ("node", "tls", "port"): node.tls.port if node.tls is not None else None,
        ("metrics", "port"): config.metrics.port,
        ("web", "port"): config.web.port,
    }
    for loc, port in ports.items():
        name = ".".join(loc)
        if port and taken.setdefault(port, name) != name:
            place, _ = tree.place(loc)
            yield f"{place}: {name}: {port} is the port of {taken[port]} as well: choose another"


def _unanswerable(config: Config, tree: Tree) -> Iterator[str]:
    """Who is to be asked must be somebody who can answer."""
    for index, entry in enumerate(config.accept):
        asked = entry.complete.ask
        if asked is None or isinstance(config.peers.get(asked), DimsePeer):
            continue
        place, key = tree.place(("accept", index, "complete", "ask"))
        known = [name for name, peer in config.peers.items() if isinstance(peer, DimsePeer)]
        there = ", ".join(known) or "none"
        yield f"{place}: {key}: there is no peer {asked} of kind dimse under peers (there: {there})"


def _unreported(config: Config, tree: Tree) -> Iterator[str]:
    """Who is asked for storage commitment may answer on an association of its own."""
    welcome = {entry.ae_title for entry in config.accept if "commitment" in entry.may}
    for name, peer in config.peers.items():
        if isinstance(peer, DimsePeer) and peer.commitment and peer.ae_title not in welcome:
            place, key = tree.place(("peers", name, "commitment"))
            yield (
                f"{place}: {key}: its answer could not come: name the AE title of this peer under "
                "accept, with commitment in its `may`"
            )


def _unfetchable(config: Config, tree: Tree) -> Iterator[str]:
    """What a peer sends after a C-MOVE must be taken from it."""
    may_store = {entry.ae_title for entry in config.accept if "store" in entry.may}
    for name, peer in config.peers.items():
        if not isinstance(peer, DimsePeer) or peer.catch_up is None:
            continue
        if peer.ae_title not in may_store:
            place, key = tree.place(("peers", name, "catch_up"))
            yield (
                f"{place}: {key}: what is fetched from {peer.ae_title} could not come: let it "
                "store, with an entry of accept"
            )


def _unprotected(config: Config, tree: Tree) -> Iterator[str]:
    """Who may store, and whether anybody on the network can read along (P15, P16)."""
    node = config.node
    place, _ = tree.place(("node", "port"))
    if node.port is None and node.tls is None:
        yield f"{place}: node.port: null, and no node.tls: nobody could connect; set one of them"
    if node.port is not None and not node.allow_plaintext and not is_loopback(node.host):
        yield (
            f"{place}: node.port: images would cross the network unprotected: configure node.tls "
            "and set node.port to null, or set node.allow_plaintext: true"
        )
    if node.tls is None:
        for index, entry in enumerate(config.accept):
            if entry.certificate:
                place, key = tree.place(("accept", index, "certificate"))
                yield f"{place}: {key}: certificates are only shown with TLS: configure node.tls"
    elif config.accept and not any(entry.certificate for entry in config.accept):
        place, _ = tree.place(("node", "tls"))
        yield f"{place}: node.tls: no entry of accept has a certificate, so nobody could use it"
