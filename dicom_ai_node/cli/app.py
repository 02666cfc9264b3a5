"""`dicom-ai-node`: every verb, and what its failures look like to a person."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer

from dicom_ai_node.cli.show import AsJson, print_json
from dicom_ai_node.errors import NodeError

_NAME = "dicom-ai-node"
# In the order of the help: what makes verbs, below this package, and their names. The file of a
# verb is only read when it is asked for: together they take seconds.
_VERBS: dict[str, Sequence[str]] = {
    "roles": ("run", "work", "deliver"),
    "receiving": ("receive",),
    "observing": ("web",),
    "reload": ("reload",),
    "importing": ("import",),
    "setup": ("setup",),
    "check": ("check", "echo"),
    "predict": ("predict",),
    "status": ("status",),
    "drain": ("drain",),
    "doctor": ("doctor",),
    "maintenance": ("rescan", "purge"),
    "backup": ("backup", "restore"),
    "demo": ("demo",),
    "probe": ("probe",),
}
_GROUPS = {  # with the file that has each, and its name there
    "jobs": ("jobs", "app"),
    "studies": ("studies", "app"),
    "results": ("results", "app"),
    "peers": ("peers", "app"),
    "rules": ("rules", "app"),
    "models": ("models", "app"),
    "alarms": ("alarms", "app"),
    "audit": ("audit", "app"),
    "tokens": ("tokens", "app"),
    "config": ("config", "app"),
    "db": ("maintenance", "db"),
}


def command_line(word: str = "") -> typer.Typer:
    """The verbs that begin with this word; all of them, if none does."""
    made = typer.Typer(
        name=_NAME,
        help="A DICOM AI node beside the PACS. Research use only.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,  # locals may hold patient data
        add_completion=True,
    )
    # with one verb alone, typer would make a program of it
    made.callback()(_dicom_ai_node)
    known = {name for names in _VERBS.values() for name in names} | {*_GROUPS, "version"}
    wanted = {word} if word in known else known
    for file, names in _VERBS.items():
        if wanted.intersection(names):
            _module(file).add_to(made)
    for name, (file, attribute) in _GROUPS.items():
        if name in wanted:
            made.add_typer(getattr(_module(file), attribute), name=name)
    if "version" in wanted:
        made.command()(version)
    _module("acts").record_acts(made)  # when all verbs are there
    return made


def _dicom_ai_node() -> None:
    """A DICOM AI node beside the PACS. Research use only."""


def _module(name: str) -> Any:
    return import_module(f"dicom_ai_node.cli.{name}")


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    from dicom_ai_node import __version__

    if as_json:
        print_json({"version": __version__})
    else:
        typer.echo(__version__)


def __getattr__(name: str) -> typer.Typer:
    if name == "app":  # for who wants to know every verb
        return command_line()
    raise AttributeError(name)


def main() -> None:
    """The exit status is that of `errors`; a mistake is a sentence, and never a traceback."""
    try:
        _refuse_broken_text(sys.argv[1:])
        status = command_line(_first_word())(prog_name=_NAME, standalone_mode=False)
        sys.stdout.flush()
    except NodeError as error:
        _end(str(error), error.exit_status)
    except typer.TyperException as error:
        _end_usage(error)
    except typer.Abort:
        _end("stopped", 1)
    except BrokenPipeError:  # who reads wants no more, as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse_broken_text(words: Sequence[str]) -> None:
    """Bytes of the command line that are no text could be neither stored, sent nor printed."""
    for place, word in enumerate(words, 1):
        if any("\ud800" <= each <= "\udfff" for each in word):
            _end(f"word {place} of the command is not UTF-8 text: write it once more", 2)


def _first_word() -> str:
    """Of the command line, or of the one that a shell wants completed; a whole word alone."""
    words = sys.argv[1:]
    if "_DICOM_AI_NODE_COMPLETE" in os.environ:
        if not os.environ.get("COMP_CWORD", "").isdecimal():
            os.environ["COMP_CWORD"] = "0"  # typer reads it too
        at = int(os.environ["COMP_CWORD"])
        words = os.environ.get("COMP_WORDS", "").split()[1:at] if at else []
    return next(iter(words), "")


def _end(text: str, status: int) -> None:
    for line in text.splitlines():
        typer.echo(f"dicom-ai-node: {line}", err=True)
    sys.exit(status)


def _end_usage(error: Any) -> None:
    """A wrong verb, option or value; no verb at all is a question for help."""
    text = error.format_message()
    if not text or "\n" in text:
        error.show()
        sys.exit(error.exit_code)
    where = error.ctx.command_path if getattr(error, "ctx", None) else _NAME
    _end(f"{text.rstrip('.?')}{'?' if text.endswith('?') else '.'} See `{where} --help`.", 2)
