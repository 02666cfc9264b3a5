"""The report is the root of its run: everything else that is sent is referred to in it."""

from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.sr.beside import beside_items
from dicom_ai_node.encoders.sr.items import Items
from dicom_ai_node.form import COMPANIONS, Form, Kind, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import MapKind, Result, ResultMap
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy, sr_validator

GROUP = "125007"


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(name="beside", shape=(6, 20, 24))


def objects_of(instances, result):
    volume = hd.get_volume_from_series(instances)
    values = volume.with_array(
        np.linspace(0, 1, volume.array.size, dtype=np.float32).reshape(volume.shape)
    )
    maps = tuple(ResultMap(kind=kind, label=str(kind), volume=values) for kind in MapKind)
    kinds = ("seg", "sr", "pm")
    objects = encode(replace(result, maps=maps), made.without_pixels(instances), made.run(), kinds)
    return [(each.kind, each.dataset) for each in objects]


def referred(item):
    """SOP Instance UIDs in the content tree."""
    return {
        reference.ReferencedSOPInstanceUID
        for each in made.walk(item)
        for reference in each.get("ReferencedSOPSequence", [])
    }


def evidence(ds):
    return {
        reference.ReferencedSOPInstanceUID
        for study in ds.CurrentRequestedProcedureEvidenceSequence
        for of_series in study.ReferencedSeriesSequence
        for reference in of_series.ReferencedSOPSequence
    }


@pytest.mark.air("root result")
@pytest.mark.result_rule(17, 18, 19)
@pytest.mark.validators
@pytest.mark.parametrize("outcome", [Outcome.FINDINGS, Outcome.NONE])
def test_all_objects_of_the_run_are_referred_to_and_evidence(instances, outcome, tmp_path):
    result = made.findings(instances)
    result = result if outcome is Outcome.FINDINGS else Result(outcome=outcome)
    objects = objects_of(instances, result)
    (sr,) = (ds for kind, ds in objects if kind == "sr")
    others = {ds.SOPInstanceUID for kind, ds in objects if kind != "sr"}
    assert len(others) == (3 if outcome is Outcome.FINDINGS else 2)
    assert others <= referred(sr)
    assert referred(sr) <= evidence(sr)
    assert evidence(sr) == {*others, *(ds.SOPInstanceUID for ds in instances)}
    path = tmp_path / "sr.dcm"
    sr.save_as(path, enforce_file_format=True)
    assert dciodvfy(path) == []
    assert sr_validator(path) == []


@pytest.mark.air("root result")
@pytest.mark.result_rule(17, 18, 19)
@pytest.mark.validators
@pytest.mark.parametrize("segmentation", [Segmentation.BINARY, Segmentation.RTSTRUCT])
def test_so_are_all_that_go_along(instances, segmentation, tmp_path):
    form = Form(segmentation=segmentation, companions=COMPANIONS)
    headers, result = made.without_pixels(instances), made.findings(instances)
    objects = encode(result, headers, made.run(), ("seg", "sr"), forms=[form])
    kinds = {each.kind for each in objects}
    assert kinds >= {Kind.SUMMARY, Kind.PRESENTATION, Kind.KEY_OBJECTS, Kind.PDF}
    assert (Kind.RTSTRUCT in kinds) == (segmentation is Segmentation.RTSTRUCT)
    (sr,) = (each.dataset for each in objects if each.kind == Kind.SR)
    others = {each.dataset.SOPInstanceUID for each in objects if each.kind != Kind.SR}
    assert others <= referred(sr)
    assert others <= evidence(sr)
    path = tmp_path / "sr.dcm"
    sr.save_as(path, enforce_file_format=True)
    assert dciodvfy(path) == []
    assert sr_validator(path) == []


def test_no_group_without_coordinates_comes_of_it(instances):
    """OHIF leaves a report blank that has one beside others."""
    (sr,) = (ds for kind, ds in objects_of(instances, made.findings(instances)) if kind == "sr")
    assert len(made.named(sr, GROUP)) == 4
    maps = [item for item in made.walk(sr.ContentSequence[-1]) if item.ValueType == "IMAGE"]
    names = [item.ConceptNameCodeSequence[0].CodeMeaning for item in maps]
    assert names == ["Saliency", "Supporting Information"]


@pytest.mark.parametrize(
    ("modality", "value_type"),
    [("OT", "IMAGE"), ("DOC", "COMPOSITE"), ("PR", "COMPOSITE"), ("KO", "COMPOSITE"),
     ("RTSTRUCT", "COMPOSITE"), ("SEG", "IMAGE")],
)  # fmt: skip
def test_what_is_no_image_is_a_composite(modality, value_type):
    ds = Dataset()
    ds.Modality, ds.SOPClassUID, ds.SOPInstanceUID = modality, "1.2.3", "1.2.3.4"
    (item,) = beside_items(Items(), [ds])
    assert item.ValueType == value_type
    assert item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
