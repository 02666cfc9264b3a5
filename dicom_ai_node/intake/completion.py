"""Is a study complete, and by what: pure, no clock, no database.

It is closed as soon as a source that knows has everything counted that is here, and by quiet time
where nothing proves it. Where something says that more is to come, it waits longer.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dicom_ai_node.config.settings import StudySettings
from dicom_ai_node.intake.evidence import (
    ACQUISITION,
    NOTIFICATIONS,
    Came,
    Finding,
    by_series,
    findings,
    named,
)
from dicom_ai_node.study import WHOLE_STUDY, Expected, Source

AT_ONCE = -math.inf

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStudy:
    """What is known of a study that may still be coming; times in seconds since the epoch."""

    began_at: float  # the first instance of this revision
    last_received_at: float
    association_ended_at: float | None  # None while one brings more, or was killed
    came: Collection[Came]
    expected: Collection[Expected]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of a study to which nothing more happens.

    `missing` and `complete_series` have a sentence by Series Instance UID; what is missing of the
    study as a whole stands under WHOLE_STUDY.
    """

    settle_at: float
    reason: str  # why then
    is_proven: bool = False
    incomplete_at: float | None = None  # from then on it waits for what is missing
    confirm_at: float | None = None  # a second answer of the PACS would prove it
    missing: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    complete_series: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    @property
    def evidence(self) -> str:
        """Why it was closed, and with what unproven or missing."""
        unproven = None if self.is_proven else "nothing proves it complete"
        return "; ".join(filter(None, (self.reason, self.shortfall or unproven)))

    @property
    def shortfall(self) -> str:
        """All that is missing, for people."""
        return "; ".join(
            f"series {uid}: {text}" if uid else text for uid, text in sorted(self.missing.items())
        )

    def missing_of(self, series_instance_uid: str) -> str | None:
        """How short a series is, and by whom; None where nobody says so."""
        return self.missing.get(series_instance_uid)


def decide(study: OpenStudy, settings: StudySettings) -> Decision:
    """Neither the order of arrival nor that of the evidence matters."""
    came = study.came if settings.images_in_acquisition else [_silent(each) for each in study.came]
    found = sorted(findings(came, study.expected), key=lambda each: (each.by, each.wanted))
    missing = _missing(found)
    complete = _complete_series(study, found, missing)
    proof = _proof(study, settings, missing, complete)
    if proof is not None:
        return Decision(
            settle_at=AT_ONCE,
            reason=proof,
            is_proven=True,
            missing=missing,
            complete_series=complete,
        )
    if step := _step_in_progress(study):
        missing[WHOLE_STUDY] = step
    return _wait(study, settings, missing, complete)


def _wait(
    study: OpenStudy, settings: StudySettings, missing: dict[str, str], complete: dict[str, str]
) -> Decision:
    """Until quiet time ends; with something missing longer; never beyond the hard cap."""
    quiet_at = study.last_received_at + settings.quiet_s
    settle_at, patience_s = quiet_at, settings.quiet_s
    if missing:
        patience_s = max(settings.quiet_s, settings.incomplete_s)
        settle_at = study.last_received_at + patience_s
    reason = f"nothing has come for {patience_s:g} s"
    cap = study.began_at + settings.longest_s
    if cap < settle_at:
        settle_at, reason = cap, f"it was still coming after {settings.longest_s:g} s"
    return Decision(
        settle_at=settle_at,
        reason=reason,
        incomplete_at=quiet_at if missing else None,
        confirm_at=_confirm_at(study, settings),
        missing=missing,
        complete_series=complete,
    )


def _silent(each: Came) -> Came:
    return Came(
        sop_instance_uid=each.sop_instance_uid,
        series_instance_uid=each.series_instance_uid,
        is_image=each.is_image,
    )


def _missing(found: Collection[Finding]) -> dict[str, str]:
    """A series is short if anybody says so."""
    missing: dict[str, str] = {}
    for each in found:
        if each.is_short:
            missing.setdefault(each.series_instance_uid, str(each))
    return missing


def _complete_series(
    study: OpenStudy, found: Collection[Finding], missing: Mapping[str, str]
) -> dict[str, str]:
    """Images in Acquisition proves a series only when its association has ended: until then, the
    same series may go on with another acquisition."""
    complete: dict[str, str] = {}
    for each in found:
        is_over = each.by != ACQUISITION or study.association_ended_at is not None
        if each.series_instance_uid not in missing and is_over:
            complete.setdefault(each.series_instance_uid, str(each))
    return complete


def _proof(
    study: OpenStudy,
    settings: StudySettings,
    missing: Mapping[str, str],
    complete: Mapping[str, str],
) -> str | None:
    """The sentence by which the whole study is complete.

    What a PACS that has stopped receiving does not have, does not come: it stays missing.
    """
    if not study.came:
        return None
    if proof := _by_pacs(study, lambda each: each.is_final):
        return proof
    if missing:
        return None
    return _by_notification(study) or _by_single_series(study, settings, complete)


def _by_pacs(study: OpenStudy, is_taken: Callable[[Expected], bool]) -> str | None:
    """Series by series where the PACS counts them, else their sum."""
    series = by_series(study.came)
    images = {uid for uid, members in series.items() if any(each.is_image for each in members)}
    answers = [each for each in study.expected if each.source is Source.PACS]
    for whole in answers:
        if whole.series_instance_uid != WHOLE_STUDY or not is_taken(whole):
            continue
        counted = {
            each.series_instance_uid: each.instances
            for each in answers
            if each.origin == whole.origin and each.series_instance_uid != WHOLE_STUDY
        }
        here = {uid: len(series.get(uid, ())) for uid in counted or images}
        is_all = counted == here and images <= counted.keys() if counted else True
        if is_all and sum(here.values()) == whole.instances:
            return f"all {_images(here)} are here, as {whole.origin} counts them"
    return None


def _by_notification(study: OpenStudy) -> str | None:
    """Each image is named, each that is named is here, and no step is in progress."""
    if _step_in_progress(study):
        return None
    names = {uid: uids for uid, uids in named(study.expected).items() if uids}
    series = by_series([each for each in study.came if each.is_image])
    here = {uid: {each.sop_instance_uid for each in members} for uid, members in series.items()}
    if not names or here != names:
        return None
    return f"all {_images({uid: len(uids) for uid, uids in names.items()})} are here, as notified"


def _by_single_series(
    study: OpenStudy, settings: StudySettings, complete: Mapping[str, str]
) -> str | None:
    images = {each.series_instance_uid for each in study.came if each.is_image}
    if not settings.single_series or len(images) != 1 or not images <= complete.keys():
        return None
    return f"its one series is complete: {complete[images.pop()]}"


def _step_in_progress(study: OpenStudy) -> str | None:
    going_on = any(each.source in NOTIFICATIONS and not each.is_final for each in study.expected)
    return "a procedure step of the study is in progress" if going_on else None


def _confirm_at(study: OpenStudy, settings: StudySettings) -> float | None:
    """When an answer that counts just what is here may be asked for again."""
    if not study.came or _by_pacs(study, lambda _: True) is None:
        return None
    said_at = [each.at for each in study.expected if each.source is Source.PACS]
    return max(said_at) + settings.confirm_s


def _images(here: Mapping[str, int]) -> str:
    return f"{sum(here.values())} images of {len(here)} series"
