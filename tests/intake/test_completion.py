"""Is a study complete? What proves it, what says that more is to come, and how long one waits."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_ai_node.config.settings import StudySettings
from dicom_ai_node.intake.completion import AT_ONCE, Decision, OpenStudy, decide
from dicom_ai_node.intake.evidence import Came
from dicom_ai_node.study import WHOLE_STUDY, Expected, Source

NOW = 1_700_000_000.0
ENDED = NOW + 1
QUIET = NOW + 60
PATIENT = NOW + 600


def images(
    series: str, number: int, *, of: int | None = None, first: int = 0, **more: Any
) -> list[Came]:
    """`number` images of a series, each of which says that its acquisition has `of`."""
    return [
        Came(
            sop_instance_uid=f"{series}.{index}",
            series_instance_uid=series,
            images_in_acquisition=of,
            **{"is_image": True, "modality": "CT", "acquisition": "1", **more},
        )
        for index in range(first, first + number)
    ]


def pacs(
    *, final: bool = True, at: float = NOW + 2, whole: int | None = None, **series: int
) -> Any:
    """An answer that counts series, called s1, s2, …; or only the whole study."""
    counts = {name.replace("s", "1."): number for name, number in series.items()}
    total = sum(counts.values()) if whole is None else whole
    return [
        said(Source.PACS, "pacs", uid, number, final=final, at=at)
        for uid, number in {WHOLE_STUDY: total, **counts}.items()
    ]


def said(
    source: Source,
    origin: str,
    series: str,
    instances: int,
    *,
    final: bool = True,
    names: Iterable[str] | None = None,
    at: float = NOW,
) -> Expected:
    return Expected(
        study_instance_uid="1",
        series_instance_uid=series,
        source=source,
        origin=origin,
        instances=instances,
        sop_instance_uids=None if names is None else frozenset(names),
        is_final=final,
        at=at,
    )


def notified(source: Source, came: Sequence[Came], *, final: bool = True) -> list[Expected]:
    """A notification that names these."""
    series = sorted({each.series_instance_uid for each in came})
    rows = [said(source, "2.25.9", WHOLE_STUDY, len(came), final=final)]
    for uid in series:
        names = [each.sop_instance_uid for each in came if each.series_instance_uid == uid]
        rows.append(said(source, "2.25.9", uid, len(names), final=final, names=names))
    return rows


def judge(
    came: Sequence[Came],
    expected: Sequence[Expected] = (),
    *,
    ended: float | None = ENDED,
    began: float = NOW,
    **settings: Any,
) -> Decision:
    study = OpenStudy(
        began_at=began,
        last_received_at=NOW,
        association_ended_at=ended,
        came=came,
        expected=expected,
    )
    return decide(study, StudySettings(**settings))


def test_without_evidence_quiet_time_closes() -> None:
    found = judge(images("1.1", 40))
    assert (found.settle_at, found.is_proven, found.incomplete_at) == (QUIET, False, None)
    assert found.evidence == "nothing has come for 60 s; nothing proves it complete"
    assert (found.missing, found.complete_series) == ({}, {})


def test_what_trickles_without_end_is_closed_by_the_cap() -> None:
    found = judge(images("1.1", 40), began=NOW - 7190)
    assert found.settle_at == NOW + 10
    assert found.evidence.startswith("it was still coming after 7200 s")


# counts of a PACS


def test_a_count_of_a_pacs_that_has_stopped_receiving_is_proof() -> None:
    found = judge(images("1.1", 40) + images("1.2", 40), pacs(s1=40, s2=40))
    assert (found.is_proven, found.settle_at) == (True, AT_ONCE)
    assert found.evidence == "all 80 images of 2 series are here, as pacs counts them"
    assert set(found.complete_series) == {"1.1", "1.2"}


def test_a_count_of_a_pacs_that_may_still_receive_is_proof_when_it_is_confirmed() -> None:
    came = images("1.1", 40)
    found = judge(came, pacs(final=False, s1=40), confirm_s=10)
    assert (found.is_proven, found.settle_at, found.confirm_at) == (False, QUIET, NOW + 12)
    assert judge(came, pacs(final=True, s1=40)).is_proven


@pytest.mark.parametrize(
    ("came", "text"),
    [
        (images("1.1", 40), "series 1.2: 0 of 40 images came, by pacs"),
        (images("1.1", 40) + images("1.2", 38), "series 1.2: 38 of 40 images came, by pacs"),
    ],
    ids=["a series", "some images"],
)
@pytest.mark.parametrize("final", [True, False])
def test_what_the_pacs_has_beyond_is_waited_for(
    came: list[Came], text: str, *, final: bool
) -> None:
    found = judge(came, pacs(final=final, s1=40, s2=40))
    assert (found.is_proven, found.incomplete_at, found.settle_at) == (False, QUIET, PATIENT)
    assert found.shortfall == text
    assert found.evidence == f"nothing has come for 600 s; {text}"
    assert found.confirm_at is None  # nothing could be confirmed


@pytest.mark.parametrize(
    "came",
    [images("1.1", 41), images("1.1", 40) + images("1.3", 1)],
    ids=["an image", "a series"],
)
def test_where_more_came_than_the_pacs_knew_its_answer_is_outdated(came: list[Came]) -> None:
    found = judge(came, pacs(s1=40))
    assert (found.is_proven, found.missing, found.settle_at) == (False, {}, QUIET)


def test_reports_that_came_or_did_not_do_not_matter() -> None:
    """Our own results are among them."""
    report = images("1.9", 1, is_image=False)
    assert judge(images("1.1", 40) + report, pacs(s1=40)).is_proven


def test_a_pacs_that_counts_no_series_proves_with_their_sum() -> None:
    came = images("1.1", 40) + images("1.2", 2)
    assert judge(came, pacs(whole=42)).is_proven
    assert not judge(came, pacs(whole=43)).is_proven


def test_a_study_of_which_nothing_is_known_to_be_here_is_never_proven() -> None:
    """A look between the row of the study and those of its instances."""
    assert not judge([], pacs(whole=0)).is_proven


# Images in Acquisition


def test_an_acquisition_proves_its_series_and_not_the_study() -> None:
    found = judge(images("1.1", 40, of=40))
    assert found.complete_series == {"1.1": "40 of 40 images, by Images in Acquisition"}
    assert (found.is_proven, found.settle_at) == (False, QUIET)


def test_a_series_may_go_on_with_another_acquisition_until_its_association_ends() -> None:
    assert judge(images("1.1", 40, of=40), ended=None).complete_series == {}


def test_where_a_study_never_has_two_series_the_acquisition_proves_it() -> None:
    one = images("1.1", 40, of=40)
    found = judge(one, single_series=True)
    assert (found.is_proven, found.settle_at) == (True, AT_ONCE)
    assert found.evidence == (
        "its one series is complete: 40 of 40 images, by Images in Acquisition"
    )
    assert not judge(one + images("1.2", 3, of=3), single_series=True).is_proven
    assert not judge(images("1.1", 39, of=40), single_series=True).is_proven


@pytest.mark.fault("D3")
def test_a_series_that_is_short_of_its_acquisition_is_waited_for_and_known() -> None:
    found = judge(images("1.1", 38, of=40))
    assert (found.incomplete_at, found.settle_at) == (QUIET, PATIENT)
    assert found.missing_of("1.1") == "38 of 40 images came, by Images in Acquisition"
    assert found.missing_of("1.2") is None


@pytest.mark.fault("D3")
def test_a_pacs_closes_a_short_series_and_it_stays_short() -> None:
    """Nothing more will come, and what the modality made is not all there."""
    found = judge(images("1.1", 38, of=40), pacs(s1=38))
    assert (found.is_proven, found.settle_at) == (True, AT_ONCE)
    assert found.missing_of("1.1") == "38 of 40 images came, by Images in Acquisition"
    assert found.complete_series == {}


def test_an_acquisition_that_is_split_into_series_lacks_nothing_and_proves_nothing() -> None:
    """Half of each of two reconstructions adds up as well."""
    found = judge(images("1.1", 25, of=40) + images("1.2", 15, of=40))
    assert (found.missing, found.complete_series) == ({}, {})


def test_two_scans_of_one_acquisition_number_stand_for_themselves() -> None:
    """Many scanners give every series Acquisition Number 1."""
    found = judge(images("1.1", 40, of=40) + images("1.2", 38, of=40) + images("1.3", 3, of=3))
    assert set(found.missing) == {"1.2"}
    assert set(found.complete_series) == {"1.1", "1.3"}
    both = judge(images("1.1", 39, of=40) + images("1.2", 38, of=40))
    assert set(both.missing) == {"1.1", "1.2"}


def test_every_acquisition_of_a_series_must_be_whole() -> None:
    second = images("1.1", 30, of=40, first=40, acquisition="2")
    found = judge(images("1.1", 40, of=40) + second)
    assert found.missing_of("1.1") == "30 of 40 images came, by Images in Acquisition"
    rest = images("1.1", 10, of=40, first=70, acquisition="2")
    whole = judge(images("1.1", 40, of=40) + second + rest)
    assert whole.complete_series == {"1.1": "80 of 80 images, by Images in Acquisition"}


@pytest.mark.parametrize(
    "came",
    [
        images("1.1", 40, of=1),
        images("1.1", 20, of=40) + images("1.1", 19, of=41, first=20),
        images("1.1", 38, of=40) + images("1.1", 1, first=38),
        images("1.1", 38),
    ],
    ids=["more came", "two numbers", "one does not say", "none says"],
)
def test_a_number_that_cannot_be_right_says_nothing(came: list[Came]) -> None:
    found = judge(came)
    assert (found.missing, found.complete_series, found.settle_at) == ({}, {}, QUIET)


def test_a_site_can_say_that_its_scanners_count_wrongly() -> None:
    found = judge(images("1.1", 38, of=40), images_in_acquisition=False)
    assert (found.missing, found.settle_at) == ({}, QUIET)


# notifications


@pytest.mark.parametrize("source", [Source.IAN, Source.MPPS])
def test_a_notification_that_names_just_what_is_here_is_proof(source: Source) -> None:
    came = images("1.1", 40) + images("1.2", 2)
    found = judge([*came, *images("1.9", 1, is_image=False)], notified(source, came))
    assert (found.is_proven, found.settle_at) == (True, AT_ONCE)
    assert found.evidence == "all 42 images of 2 series are here, as notified"


@pytest.mark.parametrize("source", [Source.IAN, Source.MPPS])
def test_what_a_notification_names_and_is_not_here_is_waited_for(source: Source) -> None:
    found = judge(images("1.1", 38), notified(source, images("1.1", 40)))
    assert found.missing_of("1.1") == "38 of 40 images came, by notification"
    assert found.settle_at == PATIENT


def test_other_images_than_those_that_are_named_are_no_proof() -> None:
    """However many there are."""
    found = judge(images("1.1", 40, first=1), notified(Source.IAN, images("1.1", 40)))
    assert not found.is_proven


def test_a_series_that_no_notification_names_is_no_proof() -> None:
    came = images("1.1", 40)
    assert not judge(came + images("1.2", 1), notified(Source.IAN, came)).is_proven


def test_a_step_in_progress_means_that_more_is_to_come() -> None:
    """Whatever it names so far; and whatever another one has completed."""
    came = images("1.1", 40)
    going_on = [said(Source.MPPS, "2.25.8", WHOLE_STUDY, 0, final=False)]
    found = judge(came, notified(Source.MPPS, came) + going_on)
    assert (found.is_proven, found.incomplete_at, found.settle_at) == (False, QUIET, PATIENT)
    assert found.shortfall == "a procedure step of the study is in progress"
    assert judge(came, notified(Source.MPPS, came, final=False)).complete_series == {}


def test_a_step_that_was_discontinued_proves_nothing_and_stops_nothing() -> None:
    ended = [said(Source.MPPS, "2.25.8", WHOLE_STUDY, 0)]
    found = judge(images("1.1", 3), ended)
    assert (found.is_proven, found.settle_at) == (False, QUIET)


# whatever the order, whatever comes

NUMBERS = st.integers(min_value=1, max_value=6)


@st.composite
def open_studies(draw: st.DrawFn) -> tuple[list[Came], list[Expected]]:
    """Up to three series of which some images came, and what some sources say of them."""
    whole = []
    for index in range(draw(st.integers(1, 3))):
        number = draw(NUMBERS)
        of = draw(st.sampled_from([None, number, number + 2]))
        acquisition = draw(st.sampled_from(["", "1", "2"]))
        whole += images(f"1.{index + 1}", number, of=of, acquisition=acquisition)
    came = [each for each in whole if draw(st.booleans())] or whole[:1]
    expected: list[Expected] = []
    if draw(st.booleans()):
        counts = {f"s{index}": draw(NUMBERS) for index in range(1, 4) if draw(st.booleans())}
        expected += pacs(final=draw(st.booleans()), **counts)
    if draw(st.booleans()):
        source = draw(st.sampled_from([Source.IAN, Source.MPPS]))
        expected += notified(source, whole, final=draw(st.booleans()))
    return came, expected


@given(open_studies(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    study: tuple[list[Came], list[Expected]], chance: random.Random
) -> None:
    came, expected = study
    found = judge(came, expected)
    shuffled, said_later = list(came), list(expected)
    chance.shuffle(shuffled)
    chance.shuffle(said_later)
    assert judge(shuffled, said_later) == found


@given(open_studies())
def test_nothing_is_proven_while_a_source_names_or_counts_more(
    study: tuple[list[Came], list[Expected]],
) -> None:
    """But for what a PACS that has stopped receiving does not have: that will not come."""
    came, expected = study
    found = judge(came, expected)
    if found.is_proven and found.missing:
        assert found.reason.endswith("as pacs counts them")
        assert not any("by pacs" in text for text in found.missing.values())
    if found.is_proven:
        assert found.settle_at == AT_ONCE
    assert not found.missing.keys() & found.complete_series.keys()


@given(st.integers(1, 6), st.integers(0, 8))
def test_one_more_image_of_a_complete_series_never_makes_it_short(number: int, more: int) -> None:
    came = images("1.1", number, of=number)
    for expected in ([], pacs(s1=number), notified(Source.IAN, came)):
        assert judge(came, expected).complete_series
        found = judge(came + images("1.1", more, of=number, first=number), expected)
        assert (found.missing, found.incomplete_at) == ({}, None)


@given(open_studies(), st.floats(0, 20_000))
def test_nobody_waits_longer_than_the_cap_or_less_than_proof_allows(
    study: tuple[list[Came], list[Expected]], since: float
) -> None:
    came, expected = study
    found = judge(came, expected, began=NOW - since)
    assert found.settle_at <= max(NOW, NOW - since + 7200)
    assert found.is_proven or found.settle_at == min(
        PATIENT if found.missing else QUIET, NOW - since + 7200
    )
