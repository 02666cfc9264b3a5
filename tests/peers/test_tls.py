"""TLS towards a DICOM peer: real servers, real handshakes, certificates of a test's own."""

import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError, PeerRefusesUs, PeerUnreachable
from dicom_ai_node.header import data_of
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.peers.find import count_series
from dicom_ai_node.peers.move import move
from dicom_ai_node.peers.peer import Offer
from dicom_ai_node.peers.tls import peer_context
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests import dicom_factory
from tests.acceptance.loopback import free_port
from tests.made import configuration
from tests.peers.pacs import Pacs, objects
from tests.peers.real import wait_for
from tests.receive.certificates import Authority, Identity
from tests.validators import tool

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """Who signs, and whom it has signed."""

    authority: Authority
    pacs: Identity
    node: Identity
    expired: Identity
    other: Authority  # another hospital's
    stranger: Identity

    def tls(self, **changes: Any) -> dict[str, Any]:
        settings = {
            "ca": self.authority.own.certificate,
            "certificate": self.node.certificate,
            "key": self.node.key,
            "server_name": "pacs.example",
        }
        return {**settings, **changes}

    def server_context(
        self,
        shown: Identity | None = None,
        *,
        version: ssl.TLSVersion | None = None,
        mutual: bool = True,
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown = shown or self.pacs
        context.load_cert_chain(shown.certificate, shown.key)
        if mutual:
            context.load_verify_locations(self.authority.own.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    home = tmp_path_factory.mktemp("hospital")
    authority, other = Authority.make(home), Authority.make(home / "other", "Other CA")
    return Hospital(
        authority=authority,
        pacs=authority.issue("pacs", dns=["pacs.example"]),
        node=authority.issue("node"),
        expired=authority.issue("expired", dns=["pacs.example"], days=-1),
        other=other,
        stranger=other.issue("stranger", dns=["pacs.example"]),
    )


@contextmanager
def answering(context: ssl.SSLContext | None) -> Iterator[int]:
    """The port of an SCP that echoes, finds nothing and moves nothing."""
    ae = AE(ae_title="PACS")
    for each in (
        Verification,
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelMove,
    ):
        ae.add_supported_context(each, ImplicitVRLittleEndian)

    def on_find(_event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0x0000, None

    def on_move(_event: evt.Event) -> Iterator[Any]:
        yield None, None  # an unknown destination

    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_MOVE, on_move)]
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=handlers
    )
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def peer(port: int, tls: dict[str, Any] | None, **changes: Any) -> DimsePeer:
    return DimsePeer.model_validate(
        {
            "kind": "dimse",
            "ae_title": "PACS",
            "host": "127.0.0.1",
            "port": port,
            "connect_timeout_s": 5,
            "timeout_s": 5,
            "tls": tls,
            **changes,
        }
    )


def echo(port: int, tls: dict[str, Any] | None, **changes: Any) -> None:
    DimseStore(peer(port, tls, **changes), calling_ae_title="AI_NODE").echo()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)
def test_both_sides_show_certificates(hospital: Hospital, version: ssl.TLSVersion) -> None:
    with answering(hospital.server_context(version=version)) as port:
        echo(port, hospital.tls())


def test_a_peer_may_want_no_certificate_of_ours(hospital: Hospital) -> None:
    with answering(hospital.server_context(mutual=False)) as port:
        echo(port, hospital.tls(certificate=None, key=None))


def test_every_kind_of_association_is_protected(hospital: Hospital) -> None:
    with answering(hospital.server_context()) as port:
        settings = peer(port, hospital.tls())
        assert count_series(settings, "1.2.3", calling_ae_title="AI_NODE") == {}
        moved = move(settings, "1.2.3", destination_ae="NOBODY", calling_ae_title="AI_NODE")
    assert moved.problem is not None
    assert "does not know NOBODY" in moved.problem


def test_our_own_receiver_gets_the_bytes_over_tls(
    hospital: Hospital, tmp_path: Path, spool: Spool, database: Database
) -> None:
    files = {
        "certificate": hospital.pacs.certificate,
        "key": hospital.pacs.key,
        "ca": hospital.authority.own.certificate,
    }
    accept = {"ae_title": "AI_NODE", "from": ["127.0.0.1"], "certificate": hospital.node.pinned}
    config = configuration(tmp_path, node={"tls": {"port": 0, **files}}, accept=[accept])
    (path,) = dicom_factory.write(dicom_factory.series(shape=(1, 8, 8)), tmp_path / "study")
    receiver = Receiver(config, spool, database)
    with receiver.running():
        assert receiver.tls_port is not None
        settings = peer(receiver.tls_port, hospital.tls(), ae_title="AI_NODE")
        store = DimseStore(settings, calling_ae_title="AI_NODE")
        (outcomes,) = store.store([Offer(paths=[path])])
    assert [each.state for each in outcomes] == ["stored"]
    (kept,) = spool.instance_files()
    assert data_of(kept.read_bytes()) == data_of(path.read_bytes())


DISTRUST = {
    "signed by another": ("stranger", {}, "shows a certificate that nobody in tls.ca has signed"),
    "expired": ("expired", {}, "shows a certificate that has expired"),
    "of another host": ("pacs", {"server_name": "ris.example"}, "for another host"),
    "of no name that we were given": ("pacs", {"server_name": None}, "for another host"),
    "no certificate of ours": (
        "pacs",
        {"certificate": None, "key": None},
        "wants a certificate of this node: set tls.certificate and tls.key",
    ),
}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)
@pytest.mark.parametrize(("shown", "changes", "expected"), DISTRUST.values(), ids=DISTRUST)
def test_it_is_said_which_side_distrusts_which(
    hospital: Hospital,
    shown: str,
    changes: dict[str, Any],
    expected: str,
    version: ssl.TLSVersion,
) -> None:
    """That is an alarm, for a person must act; and once that is mended, the peer is reached."""
    context = hospital.server_context(getattr(hospital, shown), version=version)
    with answering(context) as port, pytest.raises(PeerRefusesUs, match=expected):
        echo(port, hospital.tls(**changes))
    with answering(hospital.server_context(version=version)) as port:
        echo(port, hospital.tls())


def test_a_peer_that_is_silent_instead_of_shaking_hands_may_be_busy(hospital: Hospital) -> None:
    """No alarm: it is tried again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(PeerUnreachable, match="does not finish the TLS handshake") as told:
            echo(port, hospital.tls(), connect_timeout_s=0.3)
    assert not isinstance(told.value, PeerRefusesUs)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)
def test_a_peer_that_does_not_know_our_ca_says_so(
    hospital: Hospital, version: ssl.TLSVersion
) -> None:
    ours = {"certificate": hospital.stranger.certificate, "key": hospital.stranger.key}
    with (
        answering(hospital.server_context(version=version)) as port,
        pytest.raises(PeerUnreachable, match="does not trust who signed this node's certificate"),
    ):
        echo(port, hospital.tls(**ours))


def test_a_peer_without_tls_is_never_spoken_to_in_the_clear(
    hospital: Hospital, tmp_path: Path
) -> None:
    offer = Offer(paths=objects(tmp_path / "outbox"))
    with Pacs().running() as pacs:
        store = DimseStore(peer(pacs.port, hospital.tls()), calling_ae_title="AI_NODE")
        with pytest.raises(PeerUnreachable, match="speaks no TLS"):
            list(store.store([offer]))
    assert pacs.received == []


def test_a_peer_that_speaks_old_tls_alone_is_named_as_that(hospital: Hospital) -> None:
    context = hospital.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with answering(context) as port, pytest.raises(PeerUnreachable, match=r"neither TLS 1\.2 nor"):
        echo(port, hospital.tls())


def test_renewed_certificates_need_no_restart(hospital: Hospital, tmp_path: Path) -> None:
    ours = {"certificate": tmp_path / "node.pem", "key": tmp_path / "node.key"}

    def renew(identity: Identity) -> None:
        shutil.copy(identity.certificate, ours["certificate"])
        shutil.copy(identity.key, ours["key"])

    renew(hospital.stranger)
    with answering(hospital.server_context()) as port:
        store = DimseStore(peer(port, hospital.tls(**ours)), calling_ae_title="AI_NODE")
        with pytest.raises(PeerUnreachable):
            store.echo()
        ours["certificate"].write_bytes(b"half written")
        with pytest.raises(PeerUnreachable, match="is no certificate in PEM"):
            store.echo()
        renew(hospital.node)
        store.echo()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("ca", r"peers\.pacs\.tls\.ca: .* cannot be read \(No such file or directory\)"),
        ("certificate", r"peers\.pacs\.tls\.certificate: .* cannot be read"),
        ("key", r"peers\.pacs\.tls\.key: there is no such file"),
    ],
)
def test_a_file_that_is_not_there_is_named(hospital: Hospital, key: str, expected: str) -> None:
    settings = peer(1, hospital.tls(**{key: Path("/nowhere.pem")})).tls
    assert settings is not None
    with pytest.raises(ConfigError, match=expected):
        peer_context(settings, "peers.pacs.tls")


def test_a_key_that_others_may_read_is_not_used(hospital: Hospital, tmp_path: Path) -> None:
    shared = tmp_path / "node.key"
    shutil.copy(hospital.node.key, shared)
    shared.chmod(0o640)
    settings = peer(1, hospital.tls(key=shared)).tls
    assert settings is not None
    with pytest.raises(ConfigError, match=r"tls\.key: .* run `chmod 600"):
        peer_context(settings)


def test_a_certificate_without_its_key_is_a_mistake(hospital: Hospital) -> None:
    with pytest.raises(ValueError, match="belong together"):
        peer(1, hospital.tls(key=None))


@pytest.mark.validators
def test_dcmtk_takes_results_over_tls(hospital: Hospital, tmp_path: Path) -> None:
    folder, port = tmp_path / "stored", free_port()
    folder.mkdir()
    command = [
        *(tool("storescp"), "--output-directory", str(folder)),
        *("+tls", str(hospital.pacs.key), str(hospital.pacs.certificate)),
        *("+cf", str(hospital.authority.own.certificate), str(port)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    settings = peer(port, hospital.tls(), ae_title="STORESCP")
    try:
        wait_for(settings)
        paths = objects(tmp_path / "outbox")
        store = DimseStore(settings, calling_ae_title="AI_NODE")
        (outcomes,) = store.store([Offer(paths=paths)])
    finally:
        process.kill()
        process.wait()
    assert [each.state for each in outcomes] == ["stored"] * 2
    kept = {bytes(data_of(path.read_bytes())) for path in folder.iterdir()}
    assert kept == {bytes(data_of(path.read_bytes())) for path in paths}
