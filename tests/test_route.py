"""Rules on series: pure, so a table says it all."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    MRImageStorage,
    ParametricMapStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicom_ai_node.config.settings import Route
from dicom_ai_node.route import Verdict, facts, judge, keywords
from dicom_ai_node.study import Instance, Series

ATTRIBUTES: dict[str, tuple[str | int | float, ...]] = {
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


def series(*sop_classes: UID, syntaxes: tuple[UID, ...] = (ExplicitVRLittleEndian,)) -> Series:
    instances = tuple(
        Instance(
            sop_class_uid=sop_class,
            sop_instance_uid=f"1.2.3.{number}",
            series_instance_uid="1.2.3",
            study_instance_uid="1.2",
            transfer_syntax_uid=syntax,
            sha256="a" * 64,
            path=Path("none"),
        )
        for number, (sop_class, syntax) in enumerate(
            itertools.product(sop_classes or (CTImageStorage,), syntaxes)
        )
    )
    return Series(
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        modality="CT",
        instances=instances,
        attributes=ATTRIBUTES,
    )


def route(*clauses: dict[str, Any]) -> Route:
    return Route.model_validate({"model": "m", "send_to": ["x"], "require": clauses})


def verdict(*clauses: dict[str, Any], of: Series | None = None) -> Verdict:
    of = of or series()
    return judge(route(*clauses), of, facts(of, calling_ae="PACS", called_ae="AI_NODE"))


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
    if not holds:
        (why,) = found.failed
        assert why.startswith(f"{attr} is ")
        assert f"; wanted: {op} " in why


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
    assert verdict(of=series(sop_class)).matched


def test_facts_are_over_all_instances() -> None:
    of = series(syntaxes=(JPEGLosslessSV1, ExplicitVRLittleEndian))
    assert facts(of, calling_ae="A", called_ae="B") == {
        "instances": (2,),
        "calling_ae": ("A",),
        "called_ae": ("B",),
        "transfer_syntaxes": (ExplicitVRLittleEndian, JPEGLosslessSV1),
    }


def test_only_what_rules_ask_is_read() -> None:
    nested = route(
        YES, {"any": [NEITHER, {"all": [{"attr": "$instances", "op": "ge", "value": 2}]}]}
    )
    assert keywords([nested, route()]) == {"Modality", "KVP"}
