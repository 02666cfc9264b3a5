"""The document: whole, of the same pages, and the same on another day."""

import re
from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image

from dicom_ai_node.encoders.companions.pdf import encode_pdf
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests import dicom_factory
from tests.encoders.companions.drawn import basis_of, drawn, nodules, pixels_of

PIXELS = np.full((40, 60), 100)


@pytest.fixture(scope="module")
def image():
    return dicom_factory.radiograph(PIXELS, name="document")


def document(result: Result, instances) -> bytes:
    (ds,) = encode_pdf(basis_of(result, instances))
    assert ds.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert ds.EncapsulatedDocumentLength == len(ds.EncapsulatedDocument.rstrip(b"\0"))
    assert len(ds.EncapsulatedDocument) % 2 == 0
    return ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength]


def pages(content: bytes) -> list[Image.Image]:
    """Each is one JPEG stream."""
    streams = re.findall(rb"stream\n?(\xff\xd8.*?\xff\xd9)\nendstream", content, re.DOTALL)
    return [Image.open(BytesIO(stream)) for stream in streams]


def test_its_first_page_is_the_summary_and_then_come_the_key_images(image, tmp_path):
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(image))
    paths = drawn(result, [image], tmp_path)
    content = pydicom.dcmread(paths["pdf"]).EncapsulatedDocument
    assert content.startswith(b"%PDF-")
    assert content.rstrip(b"\0\n").endswith(b"%%EOF")
    assert b"research use only" in content.replace(b"\0", b"")
    for page, kind in zip(pages(content), ("summary", "key_images"), strict=True):
        expected = pixels_of(paths[kind])
        assert np.abs(np.asarray(page.convert("RGB"), int) - expected).mean() < 2


def test_a_long_table_goes_on(image):
    """Where the summary can only count what is left."""
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(image, 60))
    assert len(pages(document(result, [image]))) >= 3


def test_nothing_in_it_is_of_today(image):
    result = Result.not_suitable("The images are of another part of the body.")
    content = document(result, [image])
    dates = re.findall(rb"D:(\d{14})", content)
    assert set(dates) == {b"20260304050607"}
    assert len(pages(content)) == 1
