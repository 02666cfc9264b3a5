"""The document: whole, of the same pages, and the same on another day."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from dicom_ai_node.encoders.companions.page import SIZE
from dicom_ai_node.form import Kind
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests import dicom_factory
from tests.encoders.companions.drawn import drawn, nodules, pixels_of

PIXELS = np.full((40, 60), 100)
KINDS = [Kind.SUMMARY, Kind.PDF]


@pytest.fixture(scope="module")
def image():
    return dicom_factory.radiograph(PIXELS, name="document")


def document(result: Result, instances, folder: Path) -> bytes:
    ds = pydicom.dcmread(drawn(result, instances, folder, kinds=KINDS)["pdf"])
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
    content = document(result, [image], tmp_path)
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"research use only" in content.replace(b"\0", b"")
    first, key_image = pages(content)
    assert first.size == SIZE
    summary = pixels_of(tmp_path / "made" / "summary.dcm")
    assert np.abs(np.asarray(first.convert("RGB"), int) - summary).mean() < 2
    assert key_image.size != SIZE


def test_a_long_table_goes_on(image, tmp_path):
    """Where the summary can only count what is left."""
    findings = nodules(image, 60)
    result = Result(outcome=Outcome.FINDINGS, findings=findings)
    tables = [p for p in pages(document(result, [image], tmp_path)) if p.size == SIZE]
    assert len(tables) >= 3


def test_nothing_in_it_is_of_today(image, tmp_path):
    result = Result.not_suitable("The images are of another part of the body.")
    content = document(result, [image], tmp_path)
    dates = re.findall(rb"D:(\d{14})", content)
    assert set(dates) == {b"20260304050607"}
    assert len(pages(content)) == 1
