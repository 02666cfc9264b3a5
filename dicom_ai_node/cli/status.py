"""`status`: the books on one screen."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from rich.console import Group
from rich.table import Table

from dicom_ai_node import in_force
from dicom_ai_node.cli import watching
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import age
from dicom_ai_node.cli.watching import Watch
from dicom_ai_node.database.books import Books, books
from dicom_ai_node.draining import is_draining


def add_to(app: typer.Typer) -> None:
    app.command()(status)


def status(
    watch: Watch = False, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG
) -> None:
    """Print where everything is that was received, and whether the books balance."""
    node = open_node(config)

    def read() -> Books:
        with node.database.read() as connection:
            return books(connection)

    def data() -> dict[str, Any]:
        return read().as_dict() | {
            "draining": is_draining(node.spool),
            "not_in_force": in_force.not_in_force(node.spool, node.config),
        }

    def draw() -> Group:
        return _drawn(node, read())

    watching.show(draw, data, as_json=as_json, again=watch)


def _drawn(node: Node, found: Books) -> Group:
    table = Table("", "", "Number", show_header=False)
    for row in _rows(found, now=node.database.now()):
        table.add_row(*row)
    return Group(table, *_sentences(node, found))


def _sentences(node: Node, found: Books) -> Iterator[str]:
    if is_draining(node.spool):
        yield "The node is drained: it takes nothing new (`drain --off` ends that)."
    if any(found.dead_letters.values()):
        yield (
            "Dead letters wait for a person: `jobs list --dead`, and `studies list` for those that "
            "need a review."
        )
    if not_in_force := in_force.not_in_force(node.spool, node.config):
        yield (
            f"The files say something else than the node runs with ({', '.join(not_in_force)}): "
            f"{in_force.next_step(node.spool, node.config)}."
        )
    yield f"balanced: {'yes' if found.balanced else 'no: run `dicom-ai-node doctor`'}"


def _rows(found: Books, *, now: float) -> Iterator[tuple[str, str, str]]:
    yield "received", "in all", str(sum(found.received.values()))
    yield from _numbers("received", found.received)
    yield "instances", "stored", str(found.instances)
    yield from _numbers("instances of studies", found.instances_of)
    yield "instances", "deleted since", str(found.deleted)
    yield from _numbers("studies", found.studies)
    yield from _numbers("jobs", found.jobs)
    for peer, waiting in found.waiting.items():
        since = f", the oldest for {age(now - waiting.since)}" if waiting.since else ""
        yield "objects waiting for", peer, f"{waiting.objects}{since}"
    yield from _numbers("not committed to by", found.uncommitted)
    yield from _numbers("dead letters", found.dead_letters)


def _numbers(title: str, numbers: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    return ((title, name, str(number)) for name, number in numbers.items())
