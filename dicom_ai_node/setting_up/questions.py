"""The questions, one after the other, each with a proposal, and checked as it is answered."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter, ValidationError

from dicom_ai_node.config.mistakes import sentence
from dicom_ai_node.config.peers import DimsePeer, HostName
from dicom_ai_node.config.values import AETitle, Network, Port
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.peers.asking import ask
from dicom_ai_node.setting_up.answers import Answers, PacsAnswers, Sender, address_of

_NONE = "none"


def asked(proposed: Answers, catalogue: Sequence[str]) -> Answers:
    """Raises ConfigError where the input ends before the last answer."""
    typer.echo("1. This node.")
    ae_title = _ask("   Its AE title", proposed.ae_title, _valid(AETitle))
    port = _ask("   Its port for DICOM", str(proposed.port), _number)
    typer.echo("2. The PACS: it sends studies, and gets results.")
    pacs = _pacs(proposed.pacs, ae_title)
    typer.echo(f"3. Models, of: {', '.join(catalogue)}.")
    wanted = ", ".join(proposed.models) or _NONE
    models = _ask("   Which run, with commas between; or none", wanted, _of(catalogue))
    typer.echo("4. Where received studies and results are kept: patient data.")
    spool = _ask("   The folder", str(proposed.spool.absolute()), _folder)
    typer.echo("5. Who may send studies: nobody else can. AE title and address of each.")
    address = address_of(pacs.host)
    usual = f"{pacs.ae_title} {address}" if address else ""
    senders = _ask("   For example: PACS 10.0.0.5, CT1 10.0.0.0/24", usual, _senders)
    return Answers(
        ae_title=ae_title, port=port, pacs=pacs, models=models, spool=spool, senders=senders
    )


def said_yes(question: str, *, usually: bool) -> bool:
    answer = _input(f"{question} [{'Y/n' if usually else 'y/N'}]: ").lower()
    return answer.startswith("y") if answer else usually


def pacs_answers(pacs: PacsAnswers, ae_title: str) -> bool:
    """A C-ECHO; says what came of it."""
    settings = DimsePeer(kind="dimse", **pacs.model_dump())
    found = ask("pacs", settings, calling_ae_title=ae_title)
    typer.echo(f"   {found.text}." if found.answers else f"   {found.text}: {found.next_step}")
    return found.answers


def _pacs(proposed: PacsAnswers, ae_title: str) -> PacsAnswers:
    while True:
        pacs = PacsAnswers(
            ae_title=_ask("   Its AE title", proposed.ae_title, _valid(AETitle)),
            host=_ask("   Its name or address", proposed.host, _valid(HostName)),
            port=_ask("   Its port for DICOM", str(proposed.port), _number),
        )
        if pacs_answers(pacs, ae_title) or said_yes("   Go on all the same?", usually=True):
            return pacs
        proposed = pacs


def _ask(question: str, usual: str, read: Callable[[str], Any]) -> Any:
    """Until the answer can be used."""
    while True:
        try:
            return read(_input(f"{question} [{usual}]: " if usual else f"{question}: ") or usual)
        except ValidationError as error:
            typer.echo(f"   {sentence(error)}.")
        except ValueError as error:
            typer.echo(f"   {error}.")


def _input(prompt: str) -> str:
    typer.echo(prompt, nl=False)
    line = sys.stdin.readline()
    if not line:
        typer.echo("")
        raise ConfigError(
            "the answers ended before the last question, and nothing was written: answer at a "
            "terminal, or give them with --answers FILE"
        )
    if not sys.stdin.isatty():
        typer.echo("")
    return line.strip()


def _valid(kind: Any) -> Callable[[str], Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return lambda text: adapter.validate_python(text)


def _number(text: str) -> int:
    adapter: TypeAdapter[int] = TypeAdapter(Port)
    return adapter.validate_python(int(text) if text.isdecimal() else text)


def _of(catalogue: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = () if text == _NONE else tuple(each.strip() for each in text.split(","))
        if unknown := [each for each in names if each not in catalogue]:
            raise ValueError(f"there is no {unknown[0]}: there are {', '.join(catalogue)}")
        return tuple(dict.fromkeys(names))

    return read


def _folder(text: str) -> Path:
    from dicom_ai_node.peers.check import can_write

    path = Path(text).expanduser().absolute()
    if not can_write(path):
        raise ValueError(f"{path} cannot be written: give a folder of the node's user")
    return path


def _senders(text: str) -> tuple[Sender, ...]:
    network: TypeAdapter[Any] = TypeAdapter(Network)
    found = []
    for each in text.split(","):
        title, _, address = each.strip().rpartition(" ")
        if not title:
            raise ValueError("write AE title and address, such as PACS 10.0.0.5")
        found.append(Sender(ae_title=title, **{"from": (network.validate_python(address),)}))
    return tuple(found)
