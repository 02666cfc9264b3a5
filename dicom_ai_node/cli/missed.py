"""`studies missed`, and the threads of the deliver role that catch up."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.peers import DicomwebPeer, DimsePeer, FolderPeer
from dicom_ai_node.database import missed as missed_table
from dicom_ai_node.database import studies
from dicom_ai_node.errors import ConfigError, NodeError, PeerUnreachable
from dicom_ai_node.peers.open import require_dicomweb

if TYPE_CHECKING:
    from dicom_ai_node.intake.catch_up import CatchUp
    from dicom_ai_node.intake.missed import Found, Search
    from dicom_ai_node.peers.source import Source

_SETTLED = frozenset({"leave", "complete"})  # calls about which nothing is to be done
_BACKLOG = 0.5  # of limits.waiting_studies: the rest is for what comes by itself


def add_to(app: typer.Typer) -> None:
    app.command()(missed)


def missed(
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch them now, and what could not be fetched before.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Ask the peers with catch_up for studies that never came, and say what is done about them."""
    from dicom_ai_node.intake.missed import keep

    node = open_node(config)
    searches = list(_searches(node))
    if not searches:
        raise ConfigError(
            "no peer is asked for what was missed: add `catch_up: {}` to one under peers"
        )
    now = node.database.now()
    found: dict[str, list[Found]] = {}
    silent: list[str] = []
    for search in searches:
        try:
            found[search.peer] = search.find(now=now)
        except PeerUnreachable as error:
            silent.append(str(error))
            continue
        if fetch:
            wanted = [each for each in found[search.peer] if each.call not in _SETTLED]
            keep(search, wanted[: search.settings.most_studies], at=now, now=now)
    if found or as_json:
        _show(found, fetch=fetch, as_json=as_json)
    if silent:
        raise NodeError(f"{'; '.join(silent)}: try `dicom-ai-node echo` with that peer")


def _show(found: "dict[str, list[Found]]", *, fetch: bool, as_json: bool) -> None:
    if as_json:
        print_json([_row(peer, each) for peer, several in found.items() for each in several])
        return
    uid = Column("Study Instance UID", overflow="fold")
    table = Table("Peer", uid, "Modalities", "There", "Here", "What", "Why")
    others: Counter[str] = Counter()
    number = 0
    for peer, several in found.items():
        for each in several:
            if each.call in _SETTLED:
                others[each.reason] += 1
                continue
            number += 1
            row = _row(peer, each)
            table.add_row(*(str("" if value is None else value) for value in row.values()))
    out = console(soft_wrap=True)
    if number:
        out.print(table)
    for reason, times in others.most_common():
        out.print(f"{times} left alone: {reason}")
    if fetch:
        out.print(f"The running node fetches {number} now: see `dicom-ai-node studies missed`.")
    elif number:
        out.print(
            "--fetch fetches them now; the running node does so by itself, but for failed ones."
        )
    else:
        out.print("Nothing was missed.")


def _row(peer: str, found: "Found") -> dict[str, Any]:
    return {
        "peer": peer,
        "study_instance_uid": found.study.study_instance_uid,
        "modalities": " ".join(sorted(found.study.modalities)),
        "there": found.study.instances,
        "here": found.here,
        "call": str(found.call),
        "reason": found.reason,
    }


def catching_up(node: Node) -> "list[CatchUp]":
    """One for each peer that is asked for what was missed."""
    from dicom_ai_node.intake.catch_up import CatchUp
    from dicom_ai_node.receive.space import Space

    node.spool.sweep_incoming("fetched-*")
    searches = list(_searches(node))
    with node.database.write() as connection:
        peers = [search.peer for search in searches]
        missed_table.resume(connection, peers, now=node.database.now())
    space = Space((node.spool.root, node.database.path.parent), node.config.limits)
    most = max(1, int(node.config.limits.waiting_studies * _BACKLOG))

    def has_room() -> bool:
        with node.database.read() as connection:
            return studies.waiting(connection) < most and not space.is_low()

    return [CatchUp(search, spool=node.spool, has_room=has_room) for search in searches]


def _searches(node: Node) -> "Iterator[Search]":
    from dicom_ai_node.intake.missed import Search

    for name, peer in node.config.peers.items():
        if isinstance(peer, FolderPeer) or peer.catch_up is None:
            continue
        yield Search(
            peer=name,
            source=_source(name, peer, node),
            config=node.config,
            settings=peer.catch_up,
            database=node.database,
        )


def _source(name: str, peer: DimsePeer | DicomwebPeer, node: Node) -> "Source":
    if isinstance(peer, DicomwebPeer):
        require_dicomweb()
        from dicom_ai_node.receive.web_source import DicomwebSource

        return DicomwebSource(name, peer, node.config, node.spool, node.database)
    from dicom_ai_node.peers.source import DimseSource

    return DimseSource(settings=peer, node_ae_title=node.config.node.ae_title[0])
