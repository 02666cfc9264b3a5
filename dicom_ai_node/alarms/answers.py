"""Alarms about what models answer."""

from collections.abc import Callable, Iterator

from dicom_ai_node.alarms.facts import Facts
from dicom_ai_node.alarms.unusual import is_unusual
from dicom_ai_node.config.alarm_names import AlarmName
from dicom_ai_node.database.alarms import Trouble
from dicom_ai_node.database.signs import Answers


def troubles(facts: Facts) -> Iterator[Trouble]:
    yield from _more_than_usual(
        facts,
        AlarmName.REFUSED_MORE_THAN_USUAL,
        lambda each: each.refused,
        "{model} refused {share} studies in the last day, and {before} in two weeks before: see "
        "with `dicom-ai-node jobs list` why, and whether the scanner or its protocol has changed",
    )
    yield from _more_than_usual(
        facts,
        AlarmName.FAILED_MORE_THAN_USUAL,
        lambda each: each.failed,
        "{model} failed on {share} studies in the last day, and {before} in two weeks before: "
        "see with `dicom-ai-node jobs list` why, and run `dicom-ai-node models verify {model}`",
    )
    for each in facts.disabled:
        if each.by_itself:
            yield Trouble(
                name=AlarmName.MODEL_DISABLED,
                subject=f"{each.model} {each.version}",
                severity="critical",
                text=f"the node has disabled {each.model} {each.version} ({each.why}): its jobs "
                "wait; find out who changed the file, install the model again, then run "
                f"`dicom-ai-node models enable {each.model}`",
            )


def _more_than_usual(
    facts: Facts, name: AlarmName, of: Callable[[Answers], int], text: str
) -> Iterator[Trouble]:
    for model, recent in sorted(facts.answers.items()):
        before = facts.answers_before.get(model, Answers())
        if is_unusual(
            striking=of(recent),
            number=recent.number,
            striking_before=of(before),
            number_before=before.number,
        ):
            said = text.format(
                share=f"{of(recent)} of {recent.number}",
                before=f"{of(before)} of {before.number}",
                model=model,
            )
            yield Trouble(name=name, subject=model, severity="warning", text=said)
