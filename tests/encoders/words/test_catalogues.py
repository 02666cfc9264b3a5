"""Every sentence that the code says is in every language, and none of them loses what it tells."""

import ast
import string
from functools import lru_cache
from pathlib import Path

import pytest

import dicom_ai_node
from dicom_ai_node.encoders.run import RESEARCH
from dicom_ai_node.encoders.sr.report import LANGUAGES
from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.encoders.words.words import CATALOGUES, say
from dicom_ai_node.language import Language
from dicom_ai_node.result import Answer, MapKind
from dicom_ai_node.retraction.plan import RECALLED, TAKEN_BACK
from tests.encoders import made

PACKAGE = Path(dicom_ai_node.__file__).parent
OBJECTS = ("segmentation 12", "saliency map 2", "uncertainty map", "key images", "marks")


def said_in(path: Path) -> set[str]:
    """The constant sentences of a module's calls of say(); also those that it names first."""
    tree = ast.parse(path.read_text("utf-8"))
    named = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    found = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if getattr(call.func, "attr", getattr(call.func, "id", "")) == "say":
            found |= {arg.value for arg in call.args if isinstance(arg, ast.Constant)}
            found |= {named[a.id] for a in call.args if isinstance(a, ast.Name) and a.id in named}
    return found


@lru_cache(maxsize=1)
def everything_said() -> set[str]:
    found = {
        RESEARCH,
        RECALLED,
        TAKEN_BACK,
        *(answer.upper() for answer in Answer),
        *(f"{kind} map" for kind in MapKind),
    }
    for status in STATUS.values():
        found |= {status.short, status.headline, status.sentence}
    for path in PACKAGE.rglob("*.py"):
        found |= said_in(path)
    return found


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_sentences_of_the_code_are_found():
    assert {"key images", "Box in the patient (LPS, mm): centre {x}, {y}, {z}; edges {size}."} <= (
        everything_said()
    )


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_catalogue_has_every_sentence_and_no_other(language):
    assert set(CATALOGUES[language]) == everything_said()


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_translation_loses_a_value_or_is_empty(language):
    for english, translated in CATALOGUES[language].items():
        assert places(translated) == places(english), english
        assert translated.strip(), english


@pytest.mark.result_rule(16)
@pytest.mark.parametrize("language", Language)
def test_no_two_outcomes_or_answers_are_said_alike(language):
    for texts in (
        [say(language, status.short) for status in STATUS.values()],
        [say(language, status.headline) for status in STATUS.values()],
        [say(language, answer) for answer in ("FOUND", "ABSENT", "UNDECIDED")],
    ):
        assert len(set(texts)) == len(texts)
        assert not [(a, b) for a in texts for b in texts if a != b and a in b]


@pytest.mark.result_rule(22)
@pytest.mark.parametrize("language", Language)
def test_a_series_is_always_called_a_result_of_ai_for_research(language):
    """The words about research are whole within the 64 bytes of an LO, whatever it is."""
    run = made.run(language=language)
    shorts = [run.say(status.short) for status in STATUS.values()]
    whats = [*shorts, *(run.say("summary {status}", status=short) for short in shorts)]
    whats += [run.say("report {status}", status=short) for short in shorts]
    whats += [run.say(what.rstrip(" 0123456789")) + " 12" for what in OBJECTS]
    for what in whats:
        description = run.description(what)
        assert description.startswith(f"AI {what} ({say(language, RESEARCH)})")
        assert len(description.encode()) <= 64


def test_every_language_has_a_code_for_reports():
    assert set(LANGUAGES) == set(Language)


def test_what_a_catalogue_lacks_is_said_in_english():
    assert say(Language.GERMAN, "Nobody said {what}.", what="{this}") == "Nobody said {this}."
