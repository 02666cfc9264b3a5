"""The configuration that is made of the answers."""

import os
import textwrap
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dicom_ai_node.config.load import load
from dicom_ai_node.config.writing import flow, scalar
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.setting_up.answers import Answers

FILE = "node.yaml"
_TEXT = """\
# Written by `dicom-ai-node setup`. Every key: `dicom-ai-node config example`.
node:
  ae_title: {ae_title}
{listens}
  spool: {spool}          # received studies and results: patient data
  database: {database}
  models: {models}

accept:                    # who may send; nobody else
{senders}

peers:
  pacs: {pacs}

{routes}"""
_REMOTE = """\
  host: 0.0.0.0            # every address of this machine
  port: {port}
  allow_plaintext: true    # images cross the network unprotected: better is node.tls"""
_LOCAL = """\
  host: 127.0.0.1          # this machine alone
  port: {port}"""
_ROUTE = """\
  - model: {model}
    send_to: [pacs]
    require:
      - {{attr: Modality, op: in, value: {modality}}}"""


def text_of(answers: Answers, modalities: Mapping[str, tuple[str, ...]]) -> str:
    """`modalities` are those that each model wants."""
    listens = (_LOCAL if answers.is_local else _REMOTE).format(port=answers.port)
    senders = [
        flow({"ae_title": each.ae_title, "from": [str(network) for network in each.from_]})
        for each in answers.senders
    ]
    spool = answers.spool.absolute()
    pacs = {"kind": "dimse", **answers.pacs.model_dump()}
    return _TEXT.format(
        ae_title=scalar(answers.ae_title),
        listens=listens,
        spool=scalar(str(spool)),
        database=scalar(f"sqlite:///{spool}/node.db"),
        models=scalar(str(spool.parent / "models")),
        senders=textwrap.indent("\n".join(f"- {each}" for each in senders), "  "),
        pacs=flow(pacs),
        routes=_routes(answers, modalities),
    )


def _routes(answers: Answers, modalities: Mapping[str, tuple[str, ...]]) -> str:
    if not answers.models:
        return "routes: []                 # no model yet\n"
    routes = [
        _ROUTE.format(model=model, modality=flow(list(modalities[model])))
        for model in answers.models
    ]
    return "\n".join(["routes:", *routes, ""])


def refuse_overwriting(directory: Path) -> None:
    """Raises ConfigError where the folder has a configuration."""
    if files := sorted(directory.glob("*.yaml")):
        raise ConfigError(
            f"{files[0]} is there already, and is not overwritten: give another folder with "
            "--config, or --force, which keeps copies"
        )


def require_valid(text: str) -> None:
    """Raises ConfigError before anything is written."""
    with TemporaryDirectory() as scratch:
        (Path(scratch) / FILE).write_text(text, encoding="utf-8")
        try:
            load(Path(scratch), {})
        except ConfigError as error:
            said = str(error).replace(f"{scratch}/{FILE}", "what would be written, line ")
            raise ConfigError(said.replace("line :", "line ")) from None


def write(directory: Path, text: str, *, now: datetime) -> list[Path]:
    """The file whole or not at all; returns the copies of what was there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        kept = []
        for old in sorted(directory.glob("*.yaml")):
            kept.append(old.with_name(f"{old.name}.before-{now:%Y%m%d-%H%M%S}"))
            old.rename(kept[-1])
        part = directory / f"{FILE}.part"
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(directory / FILE)
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be written ({error.strerror}): give a folder of your own with "
            "--config"
        ) from None
    return kept
