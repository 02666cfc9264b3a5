"""Key object documents: what they name, and that independent programs read them."""

import pydicom
import pytest
from pydicom.sr.codedict import codes

from dicom_ai_node.encoders.document import observer
from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.key_object_document import KeyObject, key_object_document
from dicom_ai_node.form import Kind
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dcentvfy, dciodvfy, dsrdump, sr_validator

TEXT = "Box 1.2 was recalled: it sees boxes that are not there."


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A series, and the SEG and the report about it."""
    folder = tmp_path_factory.mktemp("results")
    instances = dicom_factory.series(name="key objects", shape=(6, 24, 20))
    sources = dicom_factory.write(instances, folder / "source")
    headers = made.without_pixels(instances)
    objects = made.every(made.findings(instances), instances)
    return headers, dict(objects), sources


def document(headers, objects, title=codes.DCM.RejectedForPatientSafetyReasons):
    run = made.run()
    ds = key_object_document(
        title,
        objects,
        TEXT,
        study_instance_uid=headers[0].StudyInstanceUID,
        observer=observer(run),
        attributes=Identity(run=run, kind=Kind.KEY_OBJECTS).attributes,
    )
    return finish(ds, headers[0], run, run.description("recalled"))


def key_object(ds, **further):
    return KeyObject(
        series_instance_uid=ds.SeriesInstanceUID,
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        is_image="Rows" in ds,
        **further,
    )


def test_it_names_each_object_by_series_and_class_under_its_title(results, tmp_path):
    headers, objects, _ = results
    named = [objects["seg"], objects["sr"], headers[2]]
    path = tmp_path / "ko.dcm"
    document(headers, [key_object(ds) for ds in named]).save_as(path, enforce_file_format=True)
    ko = pydicom.dcmread(path)
    assert ko.ConceptNameCodeSequence[0].CodeValue == "113037"
    assert [made.named(ko, "113012")[0].TextValue, ko.Modality] == [TEXT, "KO"]
    (study,) = ko.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == headers[0].StudyInstanceUID
    evidence = {
        (series.SeriesInstanceUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert evidence == {(ds.SeriesInstanceUID, ds.SOPClassUID, ds.SOPInstanceUID) for ds in named}
    items = [item for item in ko.ContentSequence if "ReferencedSOPSequence" in item]
    assert [item.ValueType for item in items] == ["IMAGE", "COMPOSITE", "IMAGE"]
    assert not any("ConceptNameCodeSequence" in item for item in items)


def test_it_names_the_frames_that_are_meant(results):
    headers, objects, _ = results
    ko = document(headers, [key_object(objects["seg"], frame_numbers=(2, 3))])
    (item,) = [item for item in ko.ContentSequence if item.ValueType == "IMAGE"]
    assert item.ReferencedSOPSequence[0].ReferencedFrameNumber == [2, 3]


@pytest.mark.validators
def test_independent_programs_find_no_error(results, tmp_path):
    headers, objects, sources = results
    ko = document(headers, [key_object(objects["seg"]), key_object(objects["sr"])])
    path = tmp_path / "ko.dcm"
    ko.save_as(path, enforce_file_format=True)
    assert dciodvfy(path) == []
    assert dcentvfy([*sources, path]) == []
    assert sr_validator(path) == []
    assert TEXT in dsrdump(path)
