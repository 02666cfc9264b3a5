"""What a report says of a study that no route takes: without the words of the rules."""

import pytest

from dicom_ai_node.config.rules import AllOf, AnyOf, Condition
from dicom_ai_node.routing.clause import judge


def clause(attr, op, value, **more):
    return Condition.model_validate({"attr": attr, "op": op, "value": value, **more})


@pytest.mark.parametrize(
    ("op", "value", "found", "plain"),
    [
        ("eq", "MR", ("CT",), "Modality is CT; needed: MR"),
        ("in", ("MR", "PT"), ("CT",), "Modality is CT; needed: MR or PT"),
        ("has_all", ("MR", "PT"), ("CT",), "Modality is CT; needed: MR and PT"),
        ("matches", "^mr", ("CT",), "Modality is CT; needed: something like “^mr”"),
        ("eq", "MR", (), "Modality is not stated; needed: MR"),
    ],
)
def test_an_attribute_that_does_not_suit(op, value, found, plain):
    judged = judge(clause("Modality", op, value), {"Modality": found})
    assert not judged.holds
    assert judged.plain == plain


@pytest.mark.parametrize(
    ("op", "value", "plain"),
    [
        ("ge", 100, "coverage (mm) is 2.0; needed: at least 100"),
        ("le", 1, "coverage (mm) is 2.0; needed: at most 1"),
        ("between", (3, 5), "coverage (mm) is 2.0; needed: 3 to 5"),
    ],
)
def test_a_fact_that_does_not_suit(op, value, plain):
    assert judge(clause("$coverage_mm", op, value), {"$coverage_mm": (2.0,)}).plain == plain


def test_attributes_have_the_names_of_the_dictionary():
    judged = judge(clause("BodyPartExamined", "eq", "CHEST"), {"BodyPartExamined": ("HEAD",)})
    assert judged.plain == "Body Part Examined is HEAD; needed: CHEST"


def test_what_identifies_a_patient_is_not_shown():
    judged = judge(clause("PatientName", "eq", "X"), {"PatientName": ("Doe^Jane",)})
    assert judged.plain == "Patient's Name is not shown; needed: X"


def test_of_several_clauses_those_are_said_that_fail():
    modality, part = clause("Modality", "eq", "MR"), clause("BodyPartExamined", "eq", "HEAD")
    known = {"Modality": ("CT",), "BodyPartExamined": ("HEAD",)}
    every, some = AllOf(all=(modality, part)), AnyOf(any=(modality, modality))
    assert judge(every, known).plain == "Modality is CT; needed: MR"
    assert (
        judge(some, known).plain == "Modality is CT; needed: MR, or else Modality is CT; needed: MR"
    )
    assert judge(AnyOf(any=(modality, part)), known).plain == "Body Part Examined is HEAD"
