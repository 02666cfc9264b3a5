"""DICOM over TLS as a peer sees it: certificates made here, real sockets, real handshakes."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from dicom_ai_node.config.settings import Config, TlsSettings
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.header import data_of
from dicom_ai_node.peers.association import leave_answers
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.receive.tls import Tls
from dicom_ai_node.spool import Spool
from tests.made import configuration
from tests.receive.certificates import Authority, Identity, self_signed
from tests.receive.scu import association, encoded, part10, rejection, slices
from tests.receive.wire_peer import AC, RELEASE_RP, RELEASE_RQ, associate_rq, echo_rq, pdu
from tests.tools import missing_tool

STORESCU = "/usr/bin/storescu"  # DCMTK's; pynetdicom brings one of the same name
CONTEXTS = [build_context(CTImageStorage, ExplicitVRLittleEndian), build_context(Verification)]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303")  # its first bytes; 192 more should follow
BROKEN = b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Those who come, and those who are let in."""

    authority: Authority
    node: Identity
    pacs: Identity  # known by its DNS name
    scanner: Identity  # known by its key
    revoked: Identity
    expired: Identity
    stranger: Identity  # another CA's
    nobody: Identity  # its own
    crl: Path

    def tls(self, **changes: Any) -> dict[str, Any]:
        files = {
            "certificate": self.node.certificate,
            "key": self.node.key,
            "ca": self.authority.own.certificate,
            "crl": self.crl,
        }
        return {"port": 0, **files, **changes}

    @property
    def accept(self) -> list[dict[str, Any]]:
        here = ["127.0.0.0/8"]
        return [
            {"ae_title": "PACS", "from": here, "certificate": "dns:pacs.example"},
            {"ae_title": "SCANNER", "from": here, "certificate": [self.scanner.pinned]},
            {"ae_title": "NEARBY", "from": here},
        ]


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    home = tmp_path_factory.mktemp("certificates")
    authority = Authority.make(home)
    revoked = authority.issue("revoked", dns=["pacs.example"])
    return People(
        authority=authority,
        node=authority.issue("node", dns=["node.example"]),
        pacs=authority.issue("pacs", dns=["other.example", "PACS.example"]),
        scanner=authority.issue("scanner"),
        revoked=revoked,
        expired=authority.issue("expired", dns=["pacs.example"], days=-1),
        stranger=Authority.make(home / "other", "Other CA").issue("stranger", dns=["pacs.example"]),
        nobody=self_signed(home / "self", "nobody"),
        crl=authority.revoke(revoked),
    )


@pytest.fixture
def config(tmp_path: Path, people: People, request: pytest.FixtureRequest) -> Config:
    changes = getattr(request, "param", {})
    node = {"tls": people.tls(), **changes.get("node", {})}
    return configuration(tmp_path, **{"accept": people.accept, **changes, "node": node})


@pytest.fixture
def scp(config: Config, spool: Spool, database: Database) -> Iterator[Receiver]:
    receiver = Receiver(config, spool, database)
    with receiver.running():
        yield receiver


def context_of(
    people: People, identity: Identity | None, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """A peer's; it believes in our CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(people.authority.own.certificate)
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@contextmanager
def secured(
    port: int | None, context: ssl.SSLContext, *, calling: str = "PACS"
) -> Iterator[Association]:
    """An association through TLS, established or not; it is over at the end."""
    assert port is not None
    ae = AE(ae_title=calling)
    assoc = ae.associate(
        "127.0.0.1", port, contexts=CONTEXTS, ae_title="AI_NODE", tls_args=(context, None)
    )
    leave_answers(assoc)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


@contextmanager
def encrypted(
    port: int | None, context: ssl.SSLContext, *, source: str = "127.0.0.1"
) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(
            ("127.0.0.1", port), timeout=20, source_address=(source, 0)
        ) as raw,
        context.wrap_socket(raw) as peer,
    ):
        yield peer


def take(peer: socket.socket, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        more = peer.recv(size - len(taken))
        if not more:
            raise EOFError
        taken += more
    return taken


def hear(peer: socket.socket) -> int:
    """The type of the next PDU."""
    head = take(peer, 6)
    take(peer, int.from_bytes(head[2:]))
    return head[0]


def associated(peer: ssl.SSLSocket) -> bool:
    try:
        peer.sendall(associate_rq())
        return hear(peer) == AC
    except (OSError, EOFError):
        return False


def is_closed(peer: socket.socket) -> bool:
    """The node ends the connection, with an alert of TLS or without."""
    try:
        while peer.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


def only_file(spool: Spool) -> bytes:
    (path,) = spool.instance_files()
    return bytes(data_of(path.read_bytes()))


# what is served


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_large_instance_comes_whole(
    scp: Receiver, spool: Spool, people: People, version: ssl.TLSVersion
) -> None:
    """Thousands of records, none of which ends where a PDU ends."""
    (ds,) = slices(name=version.name)
    ds.Rows, ds.Columns = 3000, 2000
    ds.PixelData = bytes(range(250)) * (12_000_000 // 250)
    with secured(scp.tls_port, context_of(people, people.pacs, version)) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
        assert assoc.send_c_store(ds).Status == 0x0000
    assert only_file(spool) == encoded(ds)


def test_tls_1_3_is_preferred(scp: Receiver, people: People) -> None:
    with encrypted(scp.tls_port, context_of(people, people.pacs)) as peer:
        assert peer.version() == "TLSv1.3"
        assert peer.getpeercert(binary_form=True) == people.node.der
        assert associated(peer)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("piece", [1, 100])
def test_records_that_drip_are_put_together(
    scp: Receiver, people: People, version: ssl.TLSVersion, piece: int
) -> None:
    assert scp.tls_port is not None
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = context_of(people, people.pacs, version).wrap_bio(coming, going)
    with socket.create_connection(("127.0.0.1", scp.tls_port), timeout=20) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def drip() -> None:
            data = going.read()
            for at in range(0, len(data), piece):
                raw.sendall(data[at : at + piece])
                time.sleep(0.0005)

        def told(ask: Callable[[], Any]) -> Any:
            while True:
                try:
                    return ask()
                except ssl.SSLWantReadError:
                    drip()
                    coming.write(raw.recv(65536))

        told(peer.do_handshake)
        for request, answer in ((associate_rq(), AC), (pdu(RELEASE_RQ, bytes(4)), RELEASE_RP)):
            peer.write(request)
            drip()
            assert told(lambda: peer.read(1))[0] == answer
            told(lambda: peer.read(65536))


def test_dcmtk_stores_an_instance(
    scp: Receiver, spool: Spool, people: People, tmp_path: Path
) -> None:
    if not Path(STORESCU).exists():
        missing_tool(STORESCU)
    (ds,) = slices()
    path = part10(tmp_path / "a.dcm", encoded(ds), sop_instance_uid=ds.SOPInstanceUID)
    who = ["+tls", people.pacs.key, people.pacs.certificate]
    whom = ["+cf", people.authority.own.certificate]
    address = ["-aet", "PACS", "-aec", "AI_NODE", "127.0.0.1", scp.tls_port]
    command = [STORESCU, *who, *whom, *address, path]
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert only_file(spool) == encoded(ds)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(
    "config", [{"limits": {"idle_s": 0.5, "pdu_s": 0.5, "request_s": 2}}], indirect=True
)
@pytest.mark.parametrize(
    "said", [b"", pdu(RELEASE_RQ, bytes(4))[:7]], ids=["silence", "half a PDU"]
)
def test_limits_of_time_count_within_tls(
    scp: Receiver, people: People, version: ssl.TLSVersion, said: bytes
) -> None:
    with encrypted(scp.tls_port, context_of(people, people.pacs, version)) as peer:
        assert associated(peer)
        began = time.monotonic()
        peer.sendall(said)
        assert hear(peer) == 7  # A-ABORT
        assert peer.recv(1) == b""  # TLS is closed in order: nothing was cut off
        assert time.monotonic() - began < 5


def talk_for_ever(peer: socket.socket, data: bytes, *, pause_s: float = 0) -> None:
    while True:
        peer.sendall(data)
        time.sleep(pause_s)


@pytest.mark.parametrize("config", [{"limits": {"send_s": 1}}], indirect=True)
def test_a_peer_that_does_not_read_is_not_waited_for(scp: Receiver, people: People) -> None:
    with encrypted(scp.tls_port, context_of(people, people.pacs)) as peer:
        assert associated(peer)
        began = time.monotonic()
        with pytest.raises((ConnectionError, ssl.SSLEOFError)):
            talk_for_ever(peer, echo_rq() * 1000)
        assert time.monotonic() - began < 10
    with encrypted(scp.tls_port, context_of(people, people.pacs)) as peer:
        assert associated(peer)


def test_stopping_ends_associations_and_handshakes(
    config: Config, spool: Spool, database: Database, people: People
) -> None:
    receiver = Receiver(config, spool, database)
    receiver.start()
    assert receiver.tls_port is not None
    with (
        encrypted(receiver.tls_port, context_of(people, people.pacs)) as peer,
        socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=5) as silent,
    ):
        assert associated(peer)
        time.sleep(1.1)  # then it is idle, and not waited for
        began = time.monotonic()
        receiver.stop()
        assert time.monotonic() - began < 4
        assert hear(peer) == 7
        assert is_closed(silent)


@pytest.mark.parametrize("config", [{"node": {"port": None}}], indirect=True)
def test_the_port_with_tls_may_be_the_only_one(
    config: Config, spool: Spool, database: Database, people: People
) -> None:
    receiver = Receiver(config, spool, database)
    with receiver.running() as port:
        assert port == receiver.tls_port
        with secured(port, context_of(people, people.pacs)) as assoc:
            assert assoc.is_established


# who is served


def test_a_certificate_is_for_its_own_entry(scp: Receiver, people: People) -> None:
    """Title, address and certificate must stand in one entry (P15)."""
    for identity, calling, is_welcome in (
        (people.pacs, "PACS", True),
        (people.scanner, "SCANNER", True),
        (people.pacs, "SCANNER", False),
        (people.scanner, "PACS", False),
        (people.scanner, "STRANGER", False),
        (people.node, "PACS", False),
    ):
        with secured(scp.tls_port, context_of(people, identity), calling=calling) as assoc:
            assert (calling, assoc.is_established) == (calling, is_welcome)
            assert is_welcome or rejection(assoc) == (1, 1, 3)


def test_an_entry_is_for_one_of_the_ports(
    config: Config, spool: Spool, database: Database, people: People
) -> None:
    receiver = Receiver(config, spool, database)
    with receiver.running() as plain:
        with association(plain, calling="NEARBY") as assoc:
            assert assoc.is_established
        with association(plain, calling="PACS") as assoc:
            assert rejection(assoc) == (1, 1, 3)
        context = context_of(people, people.pacs)
        with secured(receiver.tls_port, context, calling="NEARBY") as assoc:
            assert rejection(assoc) == (1, 1, 3)


# who is not


@pytest.mark.fault("A10")
@pytest.mark.parametrize("config", [{"limits": {"request_s": 3}}], indirect=True)
def test_who_does_not_speak_tls_holds_up_nobody(scp: Receiver, people: People) -> None:
    """One silent peer in the accept loop would be the end of all others."""
    silences = [b"", CLIENT_HELLO, CLIENT_HELLO[:3]]
    open_now = [
        socket.create_connection(("127.0.0.1", scp.tls_port), timeout=10)
        for _ in range(3 * len(silences))
    ]
    for peer, said in zip(open_now, silences * 3, strict=True):
        peer.sendall(said)
    with socket.create_connection(("127.0.0.1", scp.tls_port), timeout=10) as plain:
        plain.sendall(associate_rq(calling=b"NEARBY"))
        assert is_closed(plain)
    began = time.monotonic()
    with secured(scp.tls_port, context_of(people, people.pacs)) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
    assert time.monotonic() - began < 2
    for peer in open_now:
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        peer.settimeout(10)
    for peer in open_now:
        assert is_closed(peer)
        peer.close()
    assert time.monotonic() - began < 6


@pytest.mark.fault("A10")
@pytest.mark.parametrize("config", [{"limits": {"request_s": 1}}], indirect=True)
def test_a_handshake_that_drips_has_the_same_limit(scp: Receiver, people: People) -> None:
    with socket.create_connection(("127.0.0.1", scp.tls_port), timeout=10) as peer:
        began = time.monotonic()
        peer.sendall(CLIENT_HELLO)
        with pytest.raises(ConnectionError):
            talk_for_ever(peer, b"\0", pause_s=0.1)
        assert time.monotonic() - began < 5


@dataclass(frozen=True, slots=True)
class ReceiveProcess:
    """`receive` as an administrator starts it."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, home: Path, verb: str = "receive", **sections: Any) -> Self:
        config = home / "config"
        config.mkdir()
        node = {
            "ae_title": "AI_NODE",
            "port": None,
            "spool": str(home / "spool"),
            "database": f"sqlite:///{home}/node.db",
            **sections.pop("node"),
        }
        ports = {"web": {"port": None}, "metrics": {"port": 0}}
        settings = {"node": node, **ports, "log": {"format": "json"}, **sections}
        (config / "node.yaml").write_text(json.dumps(settings, default=str))  # JSON is YAML
        log = home / "log"
        command = [sys.executable, "-m", "dicom_ai_node", verb, "--config", str(config)]
        with log.open("wb") as stderr:
            return cls(subprocess.Popen(command, stderr=stderr), log)

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def event(self, name: str, number: int = 1, **fields: object) -> dict[str, Any]:
        """The nth event of this name with these fields, waited for."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = [each for each in self.events(name) if fields.items() <= each.items()]
            if len(found) >= number:
                return found[number - 1]
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise TimeoutError(self.log.read_text())

    @property
    def tls_port(self) -> int:
        return int(self.event("receiver_listening")["tls_port"])

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture
def starting() -> Iterator[Callable[..., ReceiveProcess]]:
    started = []

    def start(*arguments: Any, **sections: Any) -> ReceiveProcess:
        started.append(ReceiveProcess.start(*arguments, **sections))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture(scope="module")
def other_process(
    people: People, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReceiveProcess]:
    home = tmp_path_factory.mktemp("receive")
    process = ReceiveProcess.start(home, node={"tls": people.tls()}, accept=people.accept)
    yield process
    process.stop()


@pytest.mark.fault("A17")
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("expired", "certificate has expired"),
        ("revoked", "certificate revoked"),
        ("stranger", "unable to get local issuer certificate"),
        ("nobody", "self-signed certificate"),
        (None, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
    ],
)
def test_a_certificate_that_is_not_good_ends_the_handshake(
    other_process: ReceiveProcess,
    people: People,
    who: str | None,
    why: str,
    version: ssl.TLSVersion,
) -> None:
    number = [None, "expired", "revoked", "stranger", "nobody"].index(who)
    source = f"127.0.{version - 700}.{number + 1}"  # each complains once a minute
    identity = getattr(people, who) if who else None
    try:
        with encrypted(
            other_process.tls_port, context_of(people, identity, version), source=source
        ) as peer:
            assert not associated(peer)
    except (ssl.SSLError, ConnectionError):
        pass  # in TLS 1.2 the peer knows earlier
    assert other_process.event("tls_handshake_failed", address=source)["why"] == why
    assert "pacs.example" not in other_process.log.read_text()
    with secured(other_process.tls_port, context_of(people, people.pacs)) as assoc:
        assert assoc.is_established


@pytest.mark.fault("A17")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_nothing_older_than_tls_1_2(scp: Receiver, people: People, version: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = context_of(people, people.pacs)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    with (
        pytest.raises(ssl.SSLError, match="TLSV1_ALERT_PROTOCOL_VERSION"),
        encrypted(scp.tls_port, context),
    ):
        pass
    with secured(scp.tls_port, context_of(people, people.pacs)) as assoc:
        assert assoc.is_established


# certificates that are replaced, or should be


def shown(port: int | None, people: People) -> bytes | None:
    with encrypted(port, context_of(people, people.pacs)) as peer:
        assert associated(peer)
        return peer.getpeercert(binary_form=True)


@pytest.fixture
def installed(people: People, tmp_path: Path) -> dict[str, Any]:
    """The node's own files, to be replaced."""
    tls = people.tls()
    for name in ("certificate", "key", "crl"):
        tls[name] = Path(shutil.copy2(tls[name], tmp_path / f"{name}.pem"))
    return tls


def install(tls: dict[str, Any], identity: Identity) -> None:
    shutil.copy2(identity.certificate, tls["certificate"])
    shutil.copy2(identity.key, tls["key"])


@pytest.mark.fault("H4")
def test_new_certificates_are_for_associations_to_come(
    tmp_path: Path, spool: Spool, database: Database, people: People, installed: dict[str, Any]
) -> None:
    config = configuration(tmp_path, node={"tls": installed}, accept=people.accept)
    new = people.authority.issue("new node")
    receiver = Receiver(config, spool, database)
    with receiver.running(), secured(receiver.tls_port, context_of(people, people.pacs)) as before:
        assert shown(receiver.tls_port, people) == people.node.der
        install(installed, new)
        assert shown(receiver.tls_port, people) == people.node.der
        receiver.reload(config)
        assert shown(receiver.tls_port, people) == new.der
        installed["certificate"].write_bytes(BROKEN)
        with pytest.raises(ConfigError, match=r"node\.tls\.certificate"):
            receiver.reload(config)
        assert shown(receiver.tls_port, people) == new.der
        assert before.send_c_echo().Status == 0x0000


@pytest.mark.fault("H4", "A17")
def test_a_peer_revoked_meanwhile_is_not_let_in_again(
    tmp_path: Path, spool: Spool, database: Database, people: People, installed: dict[str, Any]
) -> None:
    """Not even with the session that it had before."""
    context = context_of(people, people.pacs, ssl.TLSVersion.TLSv1_2)
    config = configuration(tmp_path, node={"tls": installed}, accept=people.accept)
    receiver = Receiver(config, spool, database)
    with receiver.running():
        with encrypted(receiver.tls_port, context) as peer:
            assert associated(peer)
            session = peer.session
        shutil.copy2(people.authority.revoke(people.revoked, people.pacs), installed["crl"])
        receiver.reload(config)
        with (
            socket.create_connection(("127.0.0.1", receiver.tls_port), timeout=20) as raw,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(raw, session=session)


@pytest.mark.fault("H4")
@pytest.mark.parametrize("verb", ["receive", pytest.param("run", marks=pytest.mark.slow)])
def test_sighup_reads_them_again(
    starting: Callable[..., ReceiveProcess],
    people: People,
    installed: dict[str, Any],
    tmp_path: Path,
    verb: str,
) -> None:
    new = people.authority.issue("new node")
    node = starting(tmp_path, verb, node={"tls": installed}, accept=people.accept)
    assert shown(node.tls_port, people) == people.node.der
    install(installed, new)
    node.process.send_signal(signal.SIGHUP)
    node.event("certificates_reloaded")
    assert shown(node.tls_port, people) == new.der
    installed["key"].chmod(0o644)
    node.process.send_signal(signal.SIGHUP)
    refused = node.event("configuration_not_reloaded", level="error")
    assert "chmod 600" in refused["mistakes"][0]
    assert shown(node.tls_port, people) == new.der
    assert node.events("role_died") == []
    node.stop()


@pytest.mark.fault("H4")
def test_an_alarm_ahead_of_time(
    starting: Callable[..., ReceiveProcess],
    people: People,
    installed: dict[str, Any],
    tmp_path: Path,
) -> None:
    install(installed, people.authority.issue("soon over", days=9.5))
    node = starting(tmp_path, node={"tls": installed}, accept=people.accept)
    alarm = node.event("certificate_expires")
    assert (alarm["level"], alarm["days"]) == ("warning", 9)
    assert alarm["key"] == "node.tls.certificate"
    install(installed, people.authority.issue("over", days=-2))
    node.process.send_signal(signal.SIGHUP)
    alarm = node.event("certificate_expired")
    assert (alarm["level"], alarm["days"]) == ("error", 2)
    node.stop()


@pytest.mark.fault("H4")
def test_each_of_the_files_may_expire(people: People) -> None:
    code = """
import datetime, sys
from dicom_ai_node import log
from dicom_ai_node.config.settings import TlsSettings
from dicom_ai_node.receive.tls import Tls
log.configure(json_lines=True)
tls = Tls(TlsSettings.model_validate_json(sys.argv[1]))
for days in (0, 20, 340, 400):
    tls.say_expiry(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days))
    print("{}", file=sys.stderr)
"""
    settings = TlsSettings.model_validate(people.tls()).model_dump_json()
    done = subprocess.run([sys.executable, "-c", code, settings], capture_output=True, check=True)
    said: list[list[tuple[str, str]]] = [[]]
    for event in map(json.loads, done.stderr.splitlines()):
        if event:
            said[-1].append((event["event"], event["key"]))
        else:
            said.append([])
    old_crl = ("crl_expired", "node.tls.crl")
    keys = ("node.tls.certificate", "node.tls.ca")
    assert said[:-1] == [
        [],
        [],
        [*(("certificate_expires", key) for key in keys), old_crl],
        [*(("certificate_expired", key) for key in keys), old_crl],
    ]


# files that are wrong


def refusal(people: People, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        Tls(TlsSettings.model_validate(people.tls(**changes)))
    return str(caught.value)


@pytest.mark.parametrize("name", ["certificate", "key", "ca", "crl"])
def test_a_file_that_is_wrong_is_named(people: People, tmp_path: Path, name: str) -> None:
    wrong = tmp_path / "wrong.pem"
    said = refusal(people, **{name: wrong})
    assert said.startswith(f"node.tls.{name}: ")
    assert "cannot be read" in said or "there is no such file" in said
    for content in (b"", b"nonsense", BROKEN, b"\x30\x82\x01\x01"):
        wrong.write_bytes(content)
        wrong.chmod(0o600)
        assert refusal(people, **{name: wrong}).startswith(f"node.tls.{name}: {wrong} ")


def test_a_list_is_no_place_for_certificates(people: People, tmp_path: Path) -> None:
    """They would be trusted as if they stood in node.tls.ca."""
    both = tmp_path / "both.pem"
    both.write_bytes(people.crl.read_bytes() + people.nobody.certificate.read_bytes())
    assert "holds a certificate: put it into node.tls.ca" in refusal(people, crl=both)


def test_a_key_belongs_to_its_certificate(people: People) -> None:
    assert "does not belong to node.tls.certificate" in refusal(people, key=people.pacs.key)


def test_a_key_with_a_passphrase_is_not_asked_for(people: People, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(people.node.encrypted_key(b"secret"))
    path.chmod(0o600)
    assert "without a passphrase" in refusal(people, key=path)


def test_a_weak_key_is_refused(people: People) -> None:
    """OpenSSL's level of security is not lowered."""
    weak = people.authority.issue_weak("weak")
    said = refusal(people, certificate=weak.certificate, key=weak.key)
    assert said.startswith("node.tls.certificate: OpenSSL refuses")
    assert "EE_KEY_TOO_SMALL" in said


@pytest.mark.fault("H5")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o444])
def test_a_key_that_others_may_read_is_refused(
    people: People, installed: dict[str, Any], mode: int
) -> None:
    installed["key"].chmod(mode)
    assert f"run `chmod 600 {installed['key']}`" in refusal(people, key=installed["key"])


def test_wrong_files_stop_the_node_before_it_listens(
    starting: Callable[..., ReceiveProcess],
    people: People,
    installed: dict[str, Any],
    tmp_path: Path,
) -> None:
    installed["key"].chmod(0o640)
    node = starting(tmp_path, node={"tls": installed}, accept=people.accept)
    assert node.process.wait(timeout=60) == 2
    said = node.log.read_text()
    assert f"run `chmod 600 {installed['key']}`" in said
    assert "Traceback" not in said
    assert node.events("receiver_listening") == []
