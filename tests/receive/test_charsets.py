"""Whose an instance is, in whatever letters it says so; and letters that come over the network."""

import subprocess
from pathlib import Path

import pydicom
import pytest

from dicom_ai_node import attempt
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import leases, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.header import data_of
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.prepare import request_of
from dicom_ai_node.receive.identity import identify, walk_for
from dicom_ai_node.receive.rescan import describe
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.encoders.test_charsets import LETTERS, with_bytes
from tests.made import bright
from tests.receive.scu import encoded, slices
from tests.validators import tool

_CHARACTER_SET, _PATIENT_NAME = 0x00080005, 0x00100010


def name_digest(charset: str | None, raw: bytes) -> str:
    """Of an instance whose name has these bytes in this set."""
    (ds,) = slices()
    walk = walk_for(ds.file_meta.TransferSyntaxUID)
    walk.feed(encoded(ds))
    declared = {} if charset is None else {_CHARACTER_SET: charset.encode()}
    found = {tag: value for tag, value in walk.finish().items() if tag != _CHARACTER_SET}
    return identify(found | {_PATIENT_NAME: raw} | declared).patient_digest


YAMADA = "Yamada^Tarou=山田^太郎"


@pytest.mark.parametrize(
    ("text", "spellings"),
    [
        (
            "Müller^Jürgen",
            [
                ("ISO_IR 100", b"M\xfcller^J\xfcrgen "),
                (r"ISO 2022 IR 6\ISO 2022 IR 100", b"M\x1b-A\xfcller^J\x1b-A\xfcrgen"),
                ("GB18030", b"M\xa8\xb9ller^J\xa8\xb9rgen"),
                ("ISO_IR 192 ", b"Mu\xcc\x88ller^Ju\xcc\x88rgen"),  # an accent of its own
                # wrong, unknown or no sets
                ("ISO_IR 192", b"M\xfcller^J\xfcrgen"),
                ("NONSENSE", b"M\xfcller^J\xfcrgen"),
                ("hex", "Müller^Jürgen".encode()),
                (None, b"M\xfcller^J\xfcrgen"),
                (None, "Müller^Jürgen".encode()),
            ],
        ),
        (
            YAMADA,
            [
                (r"\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
                (
                    r"ISO 2022 IR 13\ISO 2022 IR 87",
                    b"Yamada^Tarou=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
                ),
                ("GB18030", YAMADA.encode("gb18030")),
            ],
        ),
        ("홍^길동", [(r"\ISO 2022 IR 149", b"\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf")]),
        ("张^小东", [(r"\ISO 2022 IR 58", b"\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab")]),
        (
            "Юрий",
            [("ISO_IR 144", b"\xce\xe0\xd8\xd9"), (r"\ISO 2022 IR 144", b"\x1b-L\xce\xe0\xd8\xd9")],
        ),
        ("王^誠乛", [("GBK", "王^誠乛".encode("gbk"))]),  # its last byte is that of "^"
    ],
)
def test_one_name_in_two_character_sets_is_one_patient(
    text: str, spellings: list[tuple[str | None, bytes]]
) -> None:
    """A derived series is often written in another set than its source (P6, P22)."""
    assert {name_digest(*each) for each in spellings} == {name_digest("ISO_IR 192", text.encode())}


def test_other_letters_are_another_patient() -> None:
    """Also where their bytes are the same: the set says which letters they are."""
    digests = {
        name_digest("ISO_IR 100", b"M\xfcller"),
        name_digest("ISO_IR 101", b"M\xf6ller"),
        name_digest("ISO_IR 144", b"M\xfcller"),
        name_digest("ISO_IR 192", b"Muller"),
        name_digest("ISO_IR 192", "Müller=王".encode()),
    }
    assert len(digests) == 5


@pytest.mark.validators
def test_a_japanese_name_comes_from_the_network_to_the_results(
    receiver: int, config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    """Sent by DCMTK, received, routed and attempted: files, patient and names are the sender's."""
    letters = LETTERS["japanese"]
    values = {"SpecificCharacterSet": str(letters.charset).encode(), "PatientName": letters.raw}
    sent = with_bytes(series(name="japan", shape=(4, 8, 8)), values, tmp_path)
    call = [tool("storescu"), "-aet", "PACS", "-aec", "AI_NODE", "127.0.0.1", str(receiver)]
    subprocess.run([*call, *sent], check=True, capture_output=True)

    received = [path.read_bytes() for path in spool.instance_files()]
    assert {bytes(data_of(each)) for each in received} == {
        bytes(data_of(path.read_bytes())) for path in sent
    }
    model = bright(tmp_path)
    intake = Intake(config=config, models={"bright": model}, spool=spool, database=database)
    now = database.now() + 1000
    assert intake.settle_quiet(now=now) == 1
    with database.write() as connection:
        job = leases.claim(connection, worker="here", lease_s=600, now=now)
        assert job is not None
        row = studies.find(connection, job.study_instance_uid)
        request = request_of(job, model, connection, spool)
    assert row is not None
    assert request is not None
    assert {describe(path).patient_digest for path in sent} == {row["patient_digest"]}
    report = attempt.run(request, lambda: open_model(model))
    results = [pydicom.dcmread(request.folder / each.file) for each in report.objects]
    assert [ds.Modality for ds in results] == ["SEG", "SR", "OT"]
    for ds in results:
        assert ds.get_item("PatientName").value.rstrip(b" ") == letters.raw
        assert str(ds.PatientName) == letters.text
