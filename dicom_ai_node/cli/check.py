"""`check` the configuration, `echo` a peer."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.remarks import remarks
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.config.load import Loaded, load, load_with_places, located
from dicom_ai_node.config.tree import placed
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.ownership import require_own_spool
from dicom_ai_node.peers.asking import PeerAnswer, ask, ask_all
from dicom_ai_node.ports import mistakes_of_ports


def add_to(app: typer.Typer) -> None:
    app.command()(check)
    app.command()(echo)


def check(
    config: ConfigDir = DEFAULT_CONFIG,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no peer: nothing goes over the network.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Name every mistake in the configuration, with file, line, key and what to write instead; then
    ask each peer whether it is there.

    Exit 2 if there is a mistake, 1 if a peer does not answer, 0 otherwise.
    """
    try:
        loaded = load_with_places(config, need_models=True, need_secrets=True)
        doubts = _examine(loaded, config)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"mistakes": str(error).splitlines(), "doubts": [], "peers": []})
        raise typer.Exit(error.exit_status) from None
    found = loaded.config
    title = found.node.ae_title[0]
    answers = [] if offline else ask_all(found.peers, calling_ae_title=title)
    if as_json:
        print_json({"mistakes": [], "doubts": doubts, "peers": [asdict(each) for each in answers]})
    else:
        routes = ", ".join(route.label for route in found.routes) or "none"
        out = console(soft_wrap=True)
        out.print(f"{config}: no mistakes. Routes: {routes}. Peers: {_named(found.peers)}.")
        for each in doubts:
            out.print(f"Look at this: {each}")
        _print_answers(answers)
    if not all(each.answers for each in answers):
        raise typer.Exit(1)


def _examine(loaded: Loaded, directory: Path) -> list[str]:
    """What works, and should be looked at; ConfigError names every mistake beyond the files'."""
    wrong: list[str] = []
    notes: list[str] = []
    for examine in (_own, _listening, _certificates, _peers, _channels):
        try:
            notes += examine(loaded)
        except ConfigError as error:
            wrong.append(placed(str(error), loaded.tree))
    if wrong:
        raise ConfigError("\n".join(wrong))
    return [placed(each, loaded.tree) for each in (*notes, *remarks(loaded.config, directory))]


def _own(loaded: Loaded) -> list[str]:
    require_own_spool(loaded.config)
    return []


def _listening(loaded: Loaded) -> list[str]:
    if wrong := list(mistakes_of_ports(loaded.config)):
        raise ConfigError("\n".join(wrong))
    return []


def _certificates(loaded: Loaded) -> Iterator[str]:
    tls = loaded.config.node.tls
    if tls is None:
        return
    from dicom_ai_node.certificates import expiry
    from dicom_ai_node.receive.tls import Tls

    Tls(tls)
    for name, path in {"certificate": tls.certificate, "ca": tls.ca}.items():
        if sentence := expiry(f"node.tls.{name}", path, datetime.now(UTC)):
            yield sentence


def _peers(loaded: Loaded) -> list[str]:
    from dicom_ai_node.peers.check import check_peers, check_repository

    config, now = loaded.config, datetime.now(UTC)
    return [*check_peers(config.peers, now), *check_repository(config.audit.syslog, now)]


def _channels(loaded: Loaded) -> list[str]:
    from dicom_ai_node.alarms.channels import open_channels

    open_channels(loaded.config.alarms)
    return []


def _named(names: object) -> str:
    return ", ".join(names) if isinstance(names, dict) and names else "none"


def _print_answers(answers: list[PeerAnswer]) -> None:
    if not answers:
        return
    table = Table("Peer", "", "Refuses", "What to do")
    for each in answers:
        table.add_row(each.peer, each.text, ", ".join(each.refuses), each.next_step)
    console().print(table)


def echo(
    peer: Annotated[str, typer.Argument(help="A name under peers:")],
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Ask a peer whether it is there: by C-ECHO, by QIDO-RS, or whether a folder can be written."""
    from dicom_ai_node.peers.check import check_peers

    found = load(config)
    settings = found.peers.get(peer)
    if settings is None:
        raise ConfigError(f"no peer {peer}: peers are {_named(found.peers)}")
    try:
        check_peers({peer: settings}, datetime.now(UTC))
    except ConfigError as error:
        raise located(error, config) from None
    answer = ask(peer, settings, calling_ae_title=found.node.ae_title[0])
    said = f"{peer}: {answer.text}"
    if not answer.answers:
        typer.echo(f"{said}: {answer.next_step}", err=True)
        raise typer.Exit(1)
    typer.echo(said)
