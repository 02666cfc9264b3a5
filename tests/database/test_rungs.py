"""What of a job is for a peer, by the forms that it takes; nothing here is sent."""

import pytest

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.database.rungs import planned
from dicom_ai_node.job import OutboxObject
from tests.database.made import SEG, SR, an_object

BINARY = ResultForms(also=())
ALL = ResultForms(
    segmentation=("labelmap", "binary"),
    report=("comprehensive_3d", "comprehensive"),
    also=(),
)


def made_for(*ladders: ResultForms) -> list[OutboxObject]:
    """A labelmap or SEG for each segmentation, and a report for each form."""
    forms = {form.label: form for each in ladders for form in each.ladder}
    marks = dict.fromkeys(f.segmentation for f in forms.values() if f.segmentation != "none")
    kinds = {"binary": "seg", "labelmap": "labelmap", "rtstruct": "rtstruct"}
    objects = [
        an_object(
            kinds[each],
            number,
            tuple(label for label, form in forms.items() if form.segmentation == each),
        )
        for number, each in enumerate(marks)
    ]
    objects += [an_object("sr", 10 + n, (label,)) for n, label in enumerate(forms)]
    return objects


def plan(
    objects: list[OutboxObject], results: ResultForms | None
) -> list[tuple[str, str, list[int]]]:
    return [
        (each.entry.kind, str(each.state), list(each.rungs))
        for each in planned(objects, results, peer="pacs")
    ]


def sized(each: OutboxObject, **sizes: int) -> OutboxObject:
    return OutboxObject(**{name: getattr(each, name) for name in OutboxObject.__slots__} | sizes)


def test_what_several_forms_share_is_one_row_of_several_rungs() -> None:
    assert plan(made_for(ALL), ALL) == [
        ("labelmap", "pending", [0, 1]),
        ("seg", "spare", [2, 3]),
        ("sr", "pending", [0]),
        ("sr", "spare", [1]),
        ("sr", "spare", [2]),
        ("sr", "spare", [3]),
    ]


def test_forms_of_other_peers_are_not_for_this_one() -> None:
    assert plan(made_for(ALL, BINARY), BINARY) == [
        ("seg", "pending", [0]),
        ("sr", "pending", [0]),
    ]


@pytest.mark.parametrize("results", [None, ResultForms(segmentation=("rtstruct",))])
def test_a_peer_whose_forms_nobody_made_has_the_first_that_was_made(
    results: ResultForms | None,
) -> None:
    """It is configured no longer, or otherwise since the result was made."""
    assert plan(made_for(ALL), results) == [("labelmap", "pending", [0]), ("sr", "pending", [0])]


@pytest.mark.parametrize("results", [None, ALL])
def test_all_of_a_result_of_before_there_were_forms_is_sent(results: ResultForms | None) -> None:
    assert plan([SEG, SR], results) == [("seg", "pending", []), ("sr", "pending", [])]


@pytest.mark.result_rule(11)
@pytest.mark.parametrize(
    ("limits", "sizes", "is_sent"),
    [
        ({"max_frames": 400}, {"frames": 400}, True),
        ({"max_frames": 400}, {"frames": 401}, False),
        ({"max_segments": 20}, {"segments": 20}, True),
        ({"max_segments": 20}, {"segments": 21}, False),
        ({"max_mb": 2}, {"size": 2_000_000}, True),
        ({"max_mb": 2}, {"size": 2_000_001}, False),
    ],
)
def test_a_form_beyond_a_limit_is_passed_over_and_the_report_goes_alone(
    limits: dict[str, int], sizes: dict[str, int], is_sent: bool
) -> None:
    results = ResultForms(also=(), **limits)
    seg, *reports = made_for(results)
    expected = [("sr", "pending", [1])]
    if is_sent:
        expected = [("seg", "pending", [0]), ("sr", "pending", [0]), ("sr", "spare", [1])]
    assert plan([sized(seg, **sizes), *reports], results) == expected


def test_the_background_of_a_label_map_is_no_segment() -> None:
    results = ResultForms(segmentation=("labelmap",), also=(), max_segments=20)
    labelmap, *reports = made_for(results)
    assert plan([sized(labelmap, segments=21), *reports], results)[0] == (
        "labelmap",
        "pending",
        [0],
    )
    assert plan([sized(labelmap, segments=22), *reports], results) == [("sr", "pending", [1])]


@pytest.mark.result_rule(11)
def test_a_map_beyond_a_limit_stays_here_and_the_rest_goes() -> None:
    results = ResultForms(also=(), max_mb=10)
    objects = made_for(results)
    every = tuple(form.label for form in results.ladder)
    objects += [an_object("pm", 50, every, size=10_000_001), an_object("pm", 51, every, size=9)]
    kinds = [kind for kind, _, _ in plan(objects, results)]
    assert kinds == ["seg", "sr", "sr", "pm"]


def test_a_report_is_never_too_large() -> None:
    results = ResultForms(also=(), max_mb=1)
    seg, first, alone = made_for(results)
    objects = [sized(seg, size=5_000_000), first, sized(alone, size=5_000_000)]
    assert plan(objects, results) == [("sr", "pending", [1])]


def test_forms_of_the_same_objects_are_one_rung() -> None:
    """Of a model that gives no report: the peer is not offered the same once more."""
    results = ResultForms(report=("comprehensive_3d", "comprehensive"), also=())
    objects = [each for each in made_for(results) if each.kind == "seg"]
    assert plan(objects, results) == [("seg", "pending", [0])]


def test_a_companion_that_this_peer_does_not_want_is_for_others() -> None:
    other = ResultForms(also=("pdf",))
    objects = made_for(BINARY, other)
    objects += [an_object("pdf", 50, tuple(form.label for form in other.ladder))]
    assert [kind for kind, _, _ in plan(objects, BINARY)] == ["seg", "sr"]
    assert [kind for kind, _, _ in plan(objects, other)] == ["seg", "sr", "pdf"]
