"""Rules on series: pure, so a table says it all."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    XRayAngiographicImageStorage,
)

from dicom_ai_node.config.settings import Route
from dicom_ai_node.routing.facts import facts_of
from dicom_ai_node.routing.route import Decision, Verdict, decide, keywords
from dicom_ai_node.study import Instance, Series, Values

ATTRIBUTES: dict[str, Values] = {
    "Modality": ("CT",),
    "BodyPartExamined": ("CHEST",),
    "ImageType": ("ORIGINAL", "PRIMARY", "AXIAL"),
    "KVP": (120.0,),
    "SliceThickness": (1.0, 1.25),
    "InstanceNumber": (0, 1, 2),
    "SeriesNumber": (0,),
    "SoftwareVersions": ("1.10",),
    "SeriesDescription": ("Thorax  nativ NaN",),
    "StationName": ("inf",),
}


def series(
    *sop_classes: UID,
    syntaxes: tuple[UID, ...] = (ExplicitVRLittleEndian,),
    uid: str = "1.2.3",
    part: str = "",
    study: str = "1.2",
    modality: str = "CT",
    known: dict[str, Values] | None = None,
) -> Series:
    """`known` are attributes, and facts with their `$`; a value of () takes one away."""
    known = known or {}
    instances = tuple(
        Instance(
            sop_class_uid=sop_class,
            sop_instance_uid=f"{uid}.{number}",
            series_instance_uid=uid,
            study_instance_uid=study,
            transfer_syntax_uid=syntax,
            sha256="a" * 64,
            path=Path("none"),
        )
        for number, (sop_class, syntax) in enumerate(
            itertools.product(sop_classes or (CTImageStorage,), syntaxes)
        )
    )
    facts = facts_of([(instance, {}) for instance in instances])
    return Series(
        study_instance_uid=study,
        series_instance_uid=uid,
        modality=modality,
        instances=instances,
        attributes={
            **ATTRIBUTES,
            "Modality": (modality,),
            **{name: values for name, values in known.items() if not name.startswith("$")},
        },
        part=part,
        facts=facts | {name[1:]: values for name, values in known.items() if name[0] == "$"},
    )


def route(*clauses: dict[str, Any], **more: Any) -> Route:
    return Route.model_validate({"model": "m", "send_to": ["x"], **({"require": clauses} | more)})


def answer(route: Route, *candidates: Series, priors: Sequence[Series] = ()) -> Decision:
    return decide(route, candidates, priors, calling_ae="PACS", called_ae="AI_NODE")


def verdict(*clauses: dict[str, Any], of: Series | None = None, **more: Any) -> Verdict:
    (found,) = answer(route(*clauses, **more), of or series()).verdicts
    return found


@pytest.mark.parametrize(
    ("attr", "op", "value", "holds"),
    [
        ("Modality", "eq", "CT", True),
        ("Modality", "eq", "ct ", True),
        ("Modality", "eq", "MR", False),
        ("Modality", "in", ["MR", "CT"], True),
        ("Modality", "in", ["MR", "PT"], False),
        ("ImageType", "eq", "AXIAL", True),
        ("ImageType", "has_all", ["ORIGINAL", "AXIAL"], True),
        ("ImageType", "has_all", ["ORIGINAL", "LOCALIZER"], False),
        ("ImageType", "has_any", ["LOCALIZER", "AXIAL"], True),
        ("ImageType", "has_any", ["LOCALIZER", "DERIVED"], False),
        ("SeriesDescription", "matches", "^thorax", True),
        ("SeriesDescription", "matches", "abdomen", False),
        ("KVP", "eq", 120, True),
        ("KVP", "eq", "120", True),
        ("KVP", "matches", "^120", True),
        ("KVP", "ge", 120, True),
        ("KVP", "ge", 120.5, False),
        ("KVP", "le", 120, True),
        ("KVP", "le", 119, False),
        ("KVP", "between", [100, 140], True),
        ("KVP", "between", [121, 140], False),
        # ranges ask all values, equality any
        ("SliceThickness", "between", [1, 1.25], True),
        ("SliceThickness", "le", 1, False),
        ("SliceThickness", "eq", 1.25, True),
        # 0 is a value
        ("SeriesNumber", "eq", 0, True),
        ("SeriesNumber", "le", 0, True),
        ("SeriesNumber", "ge", 1, False),
        ("InstanceNumber", "ge", 0, True),
        # text is text, even where it looks like a number
        ("SoftwareVersions", "eq", "1.10", True),
        ("SoftwareVersions", "eq", "1.1", False),
        ("SeriesDescription", "eq", "Thorax  nativ NaN", True),
        ("StationName", "eq", "inf", True),
        ("StationName", "eq", "infinity", False),
        ("StationName", "ge", 1, False),
        ("Modality", "ge", 1, False),
        ("$instances", "ge", 1, True),
        ("$instances", "between", [2, 5], False),
        ("$calling_ae", "eq", "PACS", True),
        ("$called_ae", "eq", "OTHER", False),
        ("$transfer_syntaxes", "eq", ExplicitVRLittleEndian, True),
        ("$transfer_syntaxes", "eq", "1.2.840.10008.1.2", False),
    ],
)
def test_an_operator(attr: str, op: str, value: object, holds: bool) -> None:
    found = verdict({"attr": attr, "op": op, "value": value})
    assert found.matched is holds
    assert (found.route, found.series_instance_uid) == ("m", "1.2.3")
    assert found.input == "image"
    (why,) = found.held if holds else found.failed
    assert why.startswith(f"{attr} is ")
    assert (f" ({op} " if holds else f"; wanted: {op} ") in why


@pytest.mark.result_rule(30)
@pytest.mark.parametrize(("missing", "holds"), [("fail", False), ("pass", True)])
@pytest.mark.parametrize("op", ["eq", "ge", "matches"])
def test_an_absent_attribute(missing: str, holds: bool, op: str) -> None:
    value = "x" if op == "matches" else 1
    found = verdict({"attr": "EchoTime", "op": op, "value": value, "missing": missing})
    assert found.matched is holds
    if not holds:
        assert found.failed == (f"EchoTime is missing; wanted: {op} {value}",)


YES = {"attr": "Modality", "op": "eq", "value": "CT"}
NO = {"attr": "Modality", "op": "eq", "value": "MR"}
NEITHER = {"attr": "KVP", "op": "ge", "value": 200}


@pytest.mark.parametrize(
    ("clauses", "failures"),
    [
        ([], 0),
        ([YES], 0),
        ([YES, NO, NEITHER], 2),
        ([{"any": [NO, YES]}], 0),
        ([{"any": [NO, NEITHER]}], 1),
        ([{"all": [YES, YES]}], 0),
        ([{"all": [NO, NEITHER]}], 1),
        ([{"any": [{"all": [YES, NO]}, {"all": [YES, YES]}]}], 0),
        ([{"any": [{"all": [YES, NO]}, NEITHER]}, YES, NO], 2),
        ([{"all": [{"any": [NO, YES]}, YES]}], 0),
    ],
)
def test_clauses_nest_in_any_order(clauses: list[dict[str, Any]], failures: int) -> None:
    for order in itertools.permutations(clauses):
        assert len(verdict(*order).failed) == failures


@pytest.mark.result_rule(30)
def test_every_clause_that_failed_is_named() -> None:
    assert verdict({"any": [NO, NEITHER]}, {"all": [NO, NEITHER]}).failed == (
        "none of: Modality is CT; wanted: eq MR; KVP is 120.0; wanted: ge 200",
        "Modality is CT; wanted: eq MR; KVP is 120.0; wanted: ge 200",
    )


@pytest.mark.fault("D30")
@pytest.mark.parametrize(
    "sop_class",
    [
        SegmentationStorage,
        BasicTextSRStorage,
        RTStructureSetStorage,
        EncapsulatedPDFStorage,
        SecondaryCaptureImageStorage,
        ParametricMapStorage,
        UID("1.2.840.10008.5.1.4.1.1.66.7"),  # Label Map Segmentation
        UID("1.2.840.10008.5.1.4.1.1.7.2"),  # Multi-frame Grayscale Byte Secondary Capture
        UID("1.2.3.4"),
    ],
    ids=lambda uid: uid.name,
)
def test_what_is_no_image_starts_no_job(sop_class: UID) -> None:
    """Nor does a series that holds one such object among images."""
    assert not verdict(of=series(sop_class)).matched
    (why,) = verdict(YES, of=series(CTImageStorage, sop_class)).failed
    assert why.endswith("is not an acquired image")


@pytest.mark.parametrize("sop_class", [CTImageStorage, MRImageStorage, EnhancedMRImageStorage])
def test_images_are_taken(sop_class: UID) -> None:
    modality = "CT" if sop_class == CTImageStorage else "MR"
    assert verdict(of=series(sop_class, modality=modality)).matched


@pytest.mark.fault("D26")
@pytest.mark.parametrize(
    "sop_class",
    [XRayAngiographicImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage],
    ids=lambda uid: uid.name,
)
def test_a_modality_that_the_sop_class_contradicts_is_refused(sop_class: UID) -> None:
    (why,) = verdict(YES, of=series(sop_class)).failed
    assert why == f"{sop_class.name} cannot be of the modality that is said: CT"


@pytest.mark.fault("D25")
@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({"BodyPartExamined": ("HEAD",)}, "BodyPartExamined is HEAD; wanted: eq CHEST"),
        ({"BodyPartExamined": ()}, "BodyPartExamined is missing; wanted: eq CHEST"),
        ({"$age": (11.0,)}, "$age is 11.0; wanted: ge 18"),
        ({"PatientName": ("QA^Phantom",)}, "excluded, because PatientName is not shown (match"),
    ],
    ids=["body part", "no body part", "child", "phantom"],
)
def test_who_is_out_of_scope_is_not_processed_and_it_is_said(
    known: dict[str, Values], why: str
) -> None:
    rules = (
        {"attr": "BodyPartExamined", "op": "eq", "value": "CHEST"},
        {"attr": "$age", "op": "ge", "value": 18},
    )
    phantom = {"attr": "PatientName", "op": "matches", "value": "phantom"}
    found = verdict(*rules, of=series(known={"$age": (50.0,), **known}), exclude=[phantom])
    (said,) = found.failed
    assert said.startswith(why)
    assert "QA" not in said
    assert verdict(*rules, of=series(known={"$age": (50.0,)}), exclude=[phantom]).matched


@pytest.mark.fault("D28")
def test_what_comes_from_outside_is_short_and_printable() -> None:
    found = verdict(NO, of=series(known={"Modality": ("\x1b[2J\n" + "A" * 500,)}))
    (why,) = found.failed
    assert why.isprintable()
    assert len(why) < 120


@pytest.mark.result_rule(30)
@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("derived", {"ImageType": ("DERIVED", "PRIMARY", "AXIAL")}),
        ("localizer", {"ImageType": ("ORIGINAL", "PRIMARY", "LOCALIZER")}),
        ("localizer", {"SeriesDescription": ("Topogram 0.6 T20f",)}),
        ("projection", {"ImageType": ("ORIGINAL", "SECONDARY", "MPR")}),
        ("projection", {"ImageType": ("ORIGINAL", "SECONDARY", "SCREEN SAVE")}),
        ("burned_in", {"BurnedInAnnotation": ("YES",)}),
        ("bolus_tracking", {"SeriesDescription": ("PreMonitoring 10.0",)}),
        ("bolus_tracking", {"SeriesDescription": ("Smart Prep Series",)}),
    ],
)
@pytest.mark.fault("D9", "D30")
def test_standing_exclusions_hold_until_they_are_lifted(
    name: str, known: dict[str, Values]
) -> None:
    found = verdict(of=series(known=known))
    (why,) = found.failed
    assert why.startswith("excluded, because ")
    assert why.endswith(f"`allow: [{name}]` would take it")
    assert verdict(of=series(known=known), allow=[name]).matched


@pytest.mark.parametrize(
    ("clause", "excluded"),
    [(YES, True), (NO, False), ({"any": [NO, YES]}, True), ({"all": [NO, YES]}, False)],
)
def test_a_clause_that_holds_excludes(clause: dict[str, Any], excluded: bool) -> None:
    found = verdict(exclude=[clause])
    assert found.matched is not excluded
    assert bool(found.failed) is excluded


@pytest.mark.parametrize(("missing", "excluded"), [("fail", False), ("pass", True)])
def test_what_is_missing_excludes_where_it_passes(missing: str, excluded: bool) -> None:
    """`missing` says whether the clause holds, under `exclude` as under `require`."""
    clause = {"attr": "EchoTime", "op": "ge", "value": 1, "missing": missing}
    assert verdict(exclude=[clause]).matched is not excluded


VALUES = {"text": "x", "number": 1, "list": [1, 2]}
OPERATORS = {
    **dict.fromkeys(("eq", "matches"), "text"),
    **dict.fromkeys(("ge", "le"), "number"),
    **dict.fromkeys(("in", "has_all", "has_any", "between"), "list"),
}


@pytest.mark.result_rule(30)
@given(
    op=st.sampled_from(sorted(OPERATORS)),
    value=st.sampled_from([0, 0.0, "0", False]),
    missing=st.sampled_from(["fail", "pass"]),
)
def test_nought_and_false_are_values_to_every_operator(op: str, value: Any, missing: str) -> None:
    """Whatever is said of missing ones, which is what happens when there is none."""
    clause = {"attr": "EchoTime", "op": op, "value": VALUES[OPERATORS[op]], "missing": missing}
    found = verdict(clause, of=series(known={"EchoTime": (value,)}))
    assert found.matched is (op == "le")
    assert f"EchoTime is {value}" in "".join(found.failed + found.held)
    absent = verdict(clause, of=series(known={"EchoTime": ()}))
    assert absent.matched is (missing == "pass")
    assert "EchoTime is missing" in "".join(absent.failed + absent.held)


@pytest.mark.parametrize("fact", ["regular", "contrast", "lossy"])
@pytest.mark.parametrize("said", [True, False])
def test_false_is_a_value(fact: str, said: bool) -> None:
    clause = {"attr": f"${fact}", "op": "eq", "value": said}
    for value in (True, False):
        found = verdict(clause, of=series(known={f"${fact}": (value,)}))
        assert found.matched is (value is said)


THIN = series(uid="1.1", known={"$spacing": (1.0,), "$instances": (300,), "SeriesNumber": (4,)})
THICK = series(uid="1.2", known={"$spacing": (5.0,), "$instances": (60,), "SeriesNumber": (3,)})
SAME = series(uid="1.3", known={"$spacing": (5.0,), "$instances": (60,), "SeriesNumber": ()})
MANY = [THIN, THICK, SAME]
IS_THIN = {"when": {"attr": "$spacing", "op": "le", "value": 2}, "weight": 3}


@pytest.mark.fault("D24")
@pytest.mark.parametrize(
    ("more", "chosen"),
    [
        ({}, ["1.1", "1.2", "1.3"]),
        ({"prefer": [IS_THIN]}, ["1.1"]),
        ({"prefer": [{**IS_THIN, "weight": -1}]}, ["1.2"]),
        ({"tie": ["-$instances"]}, ["1.1"]),
        ({"tie": ["$instances"]}, ["1.2"]),
        ({"tie": ["SeriesNumber"]}, ["1.2"]),
        ({"tie": ["-SeriesNumber"]}, ["1.1"]),
        ({"tie": ["$instances", "-SeriesNumber"]}, ["1.2"]),
        ({"prefer": [IS_THIN], "tie": ["$instances"]}, ["1.1"]),
        ({"tie": ["EchoTime"]}, ["1.1"]),
    ],
)
def test_the_best_series_alone_is_taken_where_a_route_prefers(
    more: dict[str, Any], chosen: list[str]
) -> None:
    for order in itertools.permutations(MANY):
        found = answer(route(YES, **more), *order)
        assert [job["image"].series_instance_uid for job in found.chosen] == chosen
        assert [each.series_instance_uid for each in found.verdicts if each.chosen] == chosen
        assert all(each.matched for each in found.verdicts)


def test_preferences_add_up_and_are_told() -> None:
    both = {"when": YES, "weight": 0.5}
    found = answer(route(prefer=[IS_THIN, both]), *MANY)
    assert [each.score for each in found.verdicts] == [3.5, 0.5, 0.5]
    assert found.verdicts[0].held == (
        "preferred by 3: $spacing is 1.0 (le 2)",
        "preferred by 0.5: Modality is CT (eq CT)",
    )


@pytest.mark.fault("D24")
def test_one_part_of_a_mixed_series_is_taken() -> None:
    """Phase 2 before phase 10, when nothing else tells them apart."""
    phases = [series(part=f"phase {number}") for number in (10, 2, 1)]
    later = {"exclude": [{"attr": "$instances", "op": "ge", "value": 9}], "tie": ["-$instances"]}
    (job,) = answer(route(**later), *phases[:2]).chosen
    assert job["image"].part == "phase 2"


T1 = series(uid="2.1", known={"SeriesDescription": ("T1 sag",)})
FLAIR = series(uid="2.2", known={"SeriesDescription": ("T2 FLAIR",)})
EITHER = series(uid="2.3", known={"SeriesDescription": ("T1 FLAIR",)})


def described(pattern: str, **more: Any) -> dict[str, Any]:
    return {
        "require": [{"attr": "SeriesDescription", "op": "matches", "value": pattern}],
        **more,
    }


def two_inputs(**more: Any) -> Route:
    inputs = {"t1": described("t1"), "flair": described("flair", **more)}
    return Route.model_validate({"model": "m", "send_to": ["x"], "inputs": inputs})


def jobs(decision: Decision) -> list[dict[str, str]]:
    return [
        {name: each.series_instance_uid for name, each in job.items()} for job in decision.chosen
    ]


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([T1, FLAIR], [{"t1": "2.1", "flair": "2.2"}]),
        # each takes its best that leaves the other one something
        ([EITHER, FLAIR], [{"t1": "2.3", "flair": "2.2"}]),
        ([EITHER, T1], [{"t1": "2.1", "flair": "2.3"}]),
        ([T1, FLAIR, EITHER], [{"t1": "2.1", "flair": "2.2"}]),
        ([EITHER], []),
        ([T1], []),
        ([], []),
    ],
)
def test_no_series_serves_two_inputs(
    candidates: list[Series], expected: list[dict[str, str]]
) -> None:
    for order in itertools.permutations(candidates):
        found = answer(two_inputs(), *order)
        assert jobs(found) == expected
        assert bool(found.missing) is not bool(expected)
        assert len(found.verdicts) == 2 * len(candidates)


def test_a_missing_input_is_named_with_the_reason() -> None:
    (why,) = answer(two_inputs(), T1).missing
    assert why == (
        "no series for the input flair: the nearest of 1: "
        "SeriesDescription is T1 sag; wanted: matches flair"
    )
    (why,) = answer(two_inputs(), EITHER).missing
    assert why == "no series for the input flair: what suits it is taken by another input"
    assert answer(two_inputs()).missing[0].endswith("there is none to choose from")


def test_an_optional_input_may_be_absent() -> None:
    assert jobs(answer(two_inputs(optional=True), T1)) == [{"t1": "2.1"}]
    assert jobs(answer(two_inputs(optional=True), EITHER)) == [{"t1": "2.3"}]
    assert jobs(answer(two_inputs(optional=True), T1, FLAIR)) == [{"t1": "2.1", "flair": "2.2"}]


def test_the_result_of_a_model_is_nothing_to_choose() -> None:
    inputs = {"ct": {"require": [YES]}, "lung": {"result_of": "lungs"}}
    found = answer(Route.model_validate({"model": "m", "send_to": ["x"], "inputs": inputs}), THIN)
    assert jobs(found) == [{"ct": "1.1"}]
    assert [each.input for each in found.verdicts] == ["ct"]


def on(uid: str, day: str, time: str = "101112") -> Series:
    return series(uid=f"{uid}.1", study=uid, known={"StudyDate": (day,), "StudyTime": (time,)})


NOW = on("3", "20260301")


@pytest.mark.parametrize(
    ("priors", "chosen", "why"),
    [
        ([on("4", "20260101"), on("5", "20250101")], "4.1", None),
        ([on("4", "20250101"), on("5", "20260101")], "5.1", None),
        ([on("4", "20260301", "090000")], "4.1", None),
        ([on("4", "20260301", "120000")], None, "it is not from an earlier study"),
        ([on("4", "20270101")], None, "it is not from an earlier study"),
        ([on("4", "20240101")], None, "it is 790 days older; wanted: at most 500"),
        ([on("4", "1 May")], None, "StudyDate is missing, so nobody knows"),
        ([NOW], None, "it is not from an earlier study"),
        ([], None, "there is none to choose from"),
    ],
)
def test_a_prior_is_the_newest_earlier_one_within_its_time(
    priors: list[Series], chosen: str | None, why: str | None
) -> None:
    inputs = {"now": {"require": [YES]}, "before": {"prior": {"within_days": 500}}}
    asked = Route.model_validate({"model": "m", "send_to": ["x"], "inputs": inputs})
    for order in itertools.permutations(priors):
        found = answer(asked, NOW, priors=order)
        assert jobs(found) == ([{"now": "3.1", "before": chosen}] if chosen else [])
        assert (why or "") in "".join(found.missing)


DESCRIPTIONS = st.sampled_from(["T1 sag", "T2 FLAIR", "T1 FLAIR", "other"])


@given(
    kinds=st.lists(st.tuples(DESCRIPTIONS, st.sampled_from([0, 1, 5])), max_size=6),
    draw=st.data(),
)
def test_the_order_of_the_series_changes_nothing(
    kinds: list[tuple[str, int]], draw: st.DataObject
) -> None:
    given_order = [
        series(uid=f"6.{n}", known={"SeriesDescription": (kind,), "$spacing": (spacing,)})
        for n, (kind, spacing) in enumerate(kinds)
    ]
    shuffled = draw.draw(st.permutations(given_order))
    tied = described("t1", prefer=[IS_THIN], tie=["-$spacing"])
    inputs = {"t1": tied, "flair": described("flair"), "any": {"optional": True}}
    for asked in (
        Route.model_validate({"model": "m", "send_to": ["x"], "inputs": inputs}),
        route(**tied),
    ):
        assert answer(asked, *shuffled) == answer(asked, *given_order)


def test_only_what_rules_ask_is_read() -> None:
    nested = route(
        YES,
        {"any": [NEITHER, {"all": [{"attr": "$instances", "op": "ge", "value": 2}]}]},
        prefer=[{"when": {"attr": "EchoTime", "op": "ge", "value": 2}}],
        tie=["-$instances", "-SeriesNumber"],
    )
    standing = {"ImageType", "SeriesDescription", "BurnedInAnnotation"}
    assert keywords([route()]) == standing
    assert keywords([nested, route()]) == {"Modality", "KVP", "EchoTime", "SeriesNumber"} | standing
    assert keywords([two_inputs()]) == standing
