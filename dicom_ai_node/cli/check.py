"""`check` the configuration, `echo` a peer."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir
from dicom_ai_node.config.load import load
from dicom_ai_node.config.peers import DicomwebPeer, DimsePeer
from dicom_ai_node.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    app.command()(check)
    app.command()(echo)


def check(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Name every mistake in the configuration with file, line and key; exit 2 if there is one."""
    from dicom_ai_node.config.disabled import read_disabled
    from dicom_ai_node.config.installed import model_label
    from dicom_ai_node.config.store import read_store
    from dicom_ai_node.peers.check import check_peers, check_repository

    found = load(config, need_models=True)
    now = datetime.now(UTC)
    notes = [*check_peers(found.peers, now), *check_repository(found.audit.syslog, now)]
    routes = ", ".join(route.label for route in found.routes) or "none"
    typer.echo(f"{config}: no mistakes. Routes: {routes}. Peers: {', '.join(found.peers)}.")
    store, disabled = read_store(found.node.models), read_disabled(found.node.models)
    for fault in store.faults.values():
        typer.echo(f"In the model store, and cannot be used: {fault}")
    routed = {store.by_label()[route.model_label].label for route in found.routes}
    for switch in disabled.values():
        if model_label(switch.model, switch.version) in routed:
            typer.echo(f"Jobs of it wait: {switch.sentence}")
    for note in notes:
        typer.echo(note)
    if not found.accept:
        typer.echo("Nobody may store yet: name your PACS under accept:")


def echo(
    peer: Annotated[str, typer.Argument(help="A name under peers:")],
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Ask a peer whether it is there: by C-ECHO, by QIDO-RS, or whether a folder can be written."""
    from dicom_ai_node.peers.check import can_write, check_peers

    found = load(config)
    settings = found.peers.get(peer)
    if settings is None:
        raise ConfigError(f"no peer {peer}: peers are {', '.join(found.peers) or 'none'}")
    check_peers({peer: settings}, datetime.now(UTC))
    if isinstance(settings, DimsePeer):
        from dicom_ai_node.peers.dimse import DimseStore

        DimseStore(settings, calling_ae_title=found.node.ae_title[0]).echo()
        how = " over TLS" if settings.tls is not None else ""
        typer.echo(f"{peer}: {settings.ae_title} at {settings.host}:{settings.port} answers{how}")
    elif isinstance(settings, DicomwebPeer):
        from dicom_ai_node.peers.dicomweb.query import DicomwebQuery

        DicomwebQuery(settings).echo()
        typer.echo(f"{peer}: {settings.url} answers")
    else:
        writable = can_write(settings.path)
        typer.echo(f"{peer}: {settings.path} {'can' if writable else 'cannot'} be written")
        raise typer.Exit(0 if writable else 1)
