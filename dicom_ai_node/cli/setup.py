"""`setup`: a working configuration from five answers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir
from dicom_ai_node.config.load import load
from dicom_ai_node.errors import ConfigError, NodeError
from dicom_ai_node.setting_up.answers import Answers, Sender, address_of, own_address
from dicom_ai_node.setting_up.questions import asked, pacs_answers, said_yes
from dicom_ai_node.setting_up.write import FILE, refuse_overwriting, require_valid, text_of, write


def add_to(app: typer.Typer) -> None:
    app.command()(setup)


def setup(
    answers: Annotated[
        Path | None,
        typer.Option(
            help="A YAML file with ae_title, port, pacs: {ae_title, host, port}, models, spool, "
            "senders: [{ae_title, from}] and fetch: nothing is asked."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a configuration, and keep copies of it.")
    ] = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Ask five questions and write a working configuration: this node, the PACS, models, the spool,
    who may send.

    Answers may come from a pipe, one a line. Nothing that exists is overwritten.
    """
    from dicom_ai_node.models.installation.install import catalogue

    if not force:
        refuse_overwriting(config)
    known = catalogue()
    if answers is None:
        found = asked(Answers(), known)
    else:
        found = _read(answers, known)
        pacs_answers(found.pacs, found.ae_title)
    text = text_of(found, _modalities(found.models))
    require_valid(text)
    kept = write(config, text, now=datetime.now(UTC))
    typer.echo(f"Written: {config / FILE}")
    for copy in kept:
        typer.echo(f"Kept: {copy}")
    _fetch(config, found, is_asked=answers is None)
    _say_next(config, found)


def _read(file: Path, known: Sequence[str]) -> Answers:
    from dicom_ai_node.config.mistakes import describe
    from dicom_ai_node.config.reading import read_yaml
    from dicom_ai_node.config.tree import Tree

    tree = Tree()
    tree.merge(read_yaml(file), file)
    try:
        found = Answers.model_validate(tree.values)
    except ValidationError as error:
        raise ConfigError("\n".join(describe(error, tree, is_known=False))) from None
    if unknown := [each for each in found.models if each not in known]:
        place, key = tree.place(("models",))
        raise ConfigError(f"{place}: {key}: there is no {unknown[0]}: there are {', '.join(known)}")
    return found if found.senders else found.model_copy(update={"senders": _the_pacs(found, file)})


def _the_pacs(answers: Answers, file: Path) -> tuple[Sender, ...]:
    address = address_of(answers.pacs.host)
    if address is None:
        raise ConfigError(
            f"{file}: pacs.host: {answers.pacs.host} has no address: write an address, or who may "
            "send under senders"
        )
    return (Sender.model_validate({"ae_title": answers.pacs.ae_title, "from": [address]}),)


def _modalities(models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    from dicom_ai_node.config.store import read_description
    from dicom_ai_node.models.installation.install import CATALOGUE

    return {each: tuple(read_description(CATALOGUE / each).gate.modality) for each in models}


def _fetch(config: Path, answers: Answers, *, is_asked: bool) -> None:
    """Now, or by a command that is said; a network that is not there stops nothing."""
    from dicom_ai_node.config.store import installed
    from dicom_ai_node.models.installation.install import install

    store = load(config, {}).node.models
    there = {each.package.name for each in installed(store)}
    missing = [each for each in answers.models if each not in there]
    if not missing:
        return
    if answers.fetch or (is_asked and said_yes(f"Fetch {', '.join(missing)} now?", usually=True)):
        for name in list(missing):
            try:
                install(name, store, typer.echo)
            except NodeError as error:
                typer.echo(f"{name} was not fetched: {error}")
            else:
                typer.echo(f"Fetched: {name}")
                missing.remove(name)
    for name in missing:
        typer.echo(f"Still to be fetched: dicom-ai-node models install {name} --config {config}")


def _say_next(config: Path, answers: Answers) -> None:
    host = own_address(answers.pacs.host)
    typer.echo(
        f"At the PACS, enter this node: AE title {answers.ae_title}, host {host}, port "
        f"{answers.port}; and let it send the studies that are to be analysed."
    )
    if not answers.is_local:
        typer.echo(
            "Images and results will cross the network unprotected: docs/configuration.md says how "
            "to set node.tls and peers.pacs.tls."
        )
    typer.echo("Then:")
    typer.echo(f"  dicom-ai-node check --config {config}")
    typer.echo(f"  dicom-ai-node run --config {config}")
