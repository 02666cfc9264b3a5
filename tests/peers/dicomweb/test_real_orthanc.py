"""A real Orthanc: every kind of object by STOW-RS, found by QIDO-RS, fetched by WADO-RS."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from dicom_ai_node.config.peers import DicomwebPeer, DimsePeer
from dicom_ai_node.encoders.encode import EncodedObject
from dicom_ai_node.form import DEFAULT
from dicom_ai_node.header import data_of
from dicom_ai_node.peers.dicomweb.query import DicomwebQuery
from dicom_ai_node.peers.dicomweb.retrieve import retrieve
from dicom_ai_node.peers.dicomweb.stow import DicomwebStore
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.peers.peer import Offer
from tests import dicom_factory
from tests.acceptance.loopback import free_port
from tests.acceptance.orthanc import Orthanc, executable
from tests.encoders import made
from tests.peers.test_real_archives import EVERY_FORM, encoded
from tests.peers.test_tls import Hospital, hospital
from tests.tools import missing_tool

__all__ = ["hospital"]  # a fixture
pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, hospital: Hospital) -> Iterator[Orthanc]:
    """Its DICOM port is for TLS, with certificates on both sides."""
    if executable() is None:
        missing_tool("Orthanc")
    tls = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(hospital.pacs.certificate),
        "DicomTlsPrivateKey": str(hospital.pacs.key),
        "DicomTlsTrustedCertificates": str(hospital.authority.own.certificate),
    }
    home = tmp_path_factory.mktemp("orthanc")
    started = Orthanc(home, node_port=free_port(), routing=False, settings=tls).start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def web(orthanc: Orthanc) -> DicomwebPeer:
    return DicomwebPeer(kind="dicomweb", url=f"http://127.0.0.1:{orthanc.http_port}/dicom-web")


@pytest.fixture(scope="module")
def every_object() -> Sequence[EncodedObject]:
    """SEG, label map, SR, and all that may go along."""
    study = dicom_factory.series(name="by DICOMweb", shape=(4, 24, 20))
    return encoded(study, EVERY_FORM, "by DICOMweb")


def stored_at(orthanc: Orthanc) -> dict[str, bytes]:
    """The data sets, as bytes, by SOP Instance UID."""
    files = [orthanc.request(f"/instances/{each}/file") for each in orthanc.get("/instances")]
    return {
        str(pydicom.dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID): bytes(
            data_of(file)
        )
        for file in files
    }


@pytest.mark.fault("F14")
def test_every_kind_of_object_arrives_byte_for_byte_and_once(
    orthanc: Orthanc, web: DicomwebPeer, every_object: Sequence[EncodedObject], tmp_path: Path
) -> None:
    """Also when it is sent again, because the answer was lost."""
    paths = list(made.written(every_object, tmp_path).values())
    peer = DicomwebStore(web)
    for _ in range(2):
        (outcomes,) = peer.store([Offer(paths=paths)])
        assert [each.state for each in outcomes] == ["stored"] * len(paths)
    at_orthanc = stored_at(orthanc)
    assert len(at_orthanc) == len(paths)
    for each, path in zip(every_object, paths, strict=True):
        sent = bytes(data_of(path.read_bytes()))
        assert at_orthanc[str(each.dataset.SOPInstanceUID)] == sent, each.kind


def test_what_is_no_dicom_is_refused_and_the_rest_is_stored(
    web: DicomwebPeer, every_object: Sequence[EncodedObject], tmp_path: Path
) -> None:
    first, second, *_ = made.written(every_object, tmp_path).values()
    first.write_bytes(first.read_bytes()[:900])  # its meta group is still whole
    (outcomes,) = DicomwebStore(web).store([Offer(paths=[first, second])])
    assert [each.state == "stored" for each in outcomes] == [False, True]


def test_a_study_is_found_and_fetched(orthanc: Orthanc, web: DicomwebPeer, tmp_path: Path) -> None:
    study = dicom_factory.series(name="to be fetched", shape=(5, 16, 16))
    for path in dicom_factory.write(study, tmp_path / "sent"):
        orthanc.upload(path)
    uid = str(study[0].StudyInstanceUID)
    day = datetime.strptime(str(study[0].StudyDate), "%Y%m%d").replace(tzinfo=UTC)
    (found,) = [
        each for each in DicomwebQuery(web).recent(day, day, 100) if each.study_instance_uid == uid
    ]
    assert (found.modalities, found.instances) == ({"CT"}, 5)
    fetched = retrieve(web, uid, tmp_path / "fetched")
    assert {bytes(data_of(path.read_bytes())) for path in fetched} == {
        bytes(data_of(path.read_bytes())) for path in (tmp_path / "sent").iterdir()
    }
    series = str(study[0].SeriesInstanceUID)
    again = retrieve(web, uid, tmp_path / "series", series_instance_uid=series)
    assert len(again) == 5
    assert retrieve(web, "1.2.3", tmp_path / "none") == []


def test_orthanc_takes_results_over_tls(
    orthanc: Orthanc, hospital: Hospital, tmp_path: Path
) -> None:
    study = dicom_factory.series(name="over TLS", shape=(4, 24, 20))
    paths = list(made.written(encoded(study, [DEFAULT], "TLS"), tmp_path).values())
    peer = DimsePeer.model_validate(
        {
            "kind": "dimse",
            "ae_title": "ORTHANC",
            "host": "127.0.0.1",
            "port": orthanc.dicom_port,
            "tls": hospital.tls(),
        }
    )
    store = DimseStore(peer, calling_ae_title="AI_NODE")
    store.echo()
    (outcomes,) = store.store([Offer(paths=paths)])
    assert [each.state for each in outcomes] == ["stored"] * len(paths)
    at_orthanc = stored_at(orthanc).values()
    assert all(bytes(data_of(path.read_bytes())) in at_orthanc for path in paths)


def test_an_echo_over_dicomweb_is_answered(web: DicomwebPeer) -> None:
    DicomwebQuery(web).echo()
