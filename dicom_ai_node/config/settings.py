"""The keys of `config/*.yaml`, their types, their defaults: the only place where either stands."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from dicom_ai_node.config.alarms import AlarmSettings, ProbeSettings
from dicom_ai_node.config.audit import AuditSettings
from dicom_ai_node.config.font import FontFile
from dicom_ai_node.config.observe import MetricsSettings, WebSettings
from dicom_ai_node.config.peers import AnyPeer
from dicom_ai_node.config.privacy import PrivacySettings
from dicom_ai_node.config.rules import InputSelection, Selection
from dicom_ai_node.config.strict import InputName, ModelName, ModelVersion, PeerName, Sha256, Strict
from dicom_ai_node.config.values import (
    AETitle,
    CertificateName,
    Count,
    ListenPort,
    Network,
    Seconds,
    Uid,
    as_list,
)
from dicom_ai_node.form import DEFAULT, MARKS, Form
from dicom_ai_node.language import Language


class TlsSettings(Strict):
    """The port with TLS (PS3.15 B.12); its peers show certificates that `ca` has signed."""

    port: ListenPort = 2762
    certificate: Path  # PEM, ours and those between it and the CA
    key: Path  # PEM
    ca: Path  # PEM, of those who sign our peers' certificates
    crl: Path | None = None  # PEM, what of that was revoked


class NodeSettings(Strict):
    """Who this node is, and where it keeps things; relative paths start at the working folder."""

    ae_title: Annotated[tuple[AETitle, ...], BeforeValidator(as_list), Field(min_length=1)]
    host: str = "127.0.0.1"
    port: ListenPort | None = 11112  # without TLS; null: none
    tls: TlsSettings | None = None
    allow_plaintext: bool = False  # beyond this machine, without TLS
    receive_processes: Annotated[int, Field(ge=1, le=64)] = 1  # on one port
    spool: Path = Path("var")
    database: str = "sqlite:///./var/node.db"
    models: Path = Path("models")
    trusted_models: tuple[Sha256, ...] = ()  # packages whose own code may run
    retain_days: Annotated[float, Field(ge=0)] = 14
    accept_deflated: bool = False  # a small deflated object may hold gigabytes
    accept_video: bool = False
    accept_sop_classes: tuple[Uid, ...] = ()  # beyond images, reports and presentation states
    drain_s: Annotated[float, Field(ge=0)] = 30
    # TTF, OTF or TTC with the site's letters, for what is drawn; None: Pillow's, or the system's
    font: FontFile | None = None
    language: Language = Language.ENGLISH  # of our own words in what is sent

    @property
    def own_address(self) -> str:
        """Where the node itself reaches its ports."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104
        return everywhere.get(self.host, self.host)


class LimitsSettings(Strict):
    """What a peer may cost; `*_s` are seconds, on a clock that nobody sets."""

    associations: Count = 32
    associations_per_peer: Count = 8  # per entry of `accept`
    connections: Count = 64  # associated or not yet
    connections_per_s: Annotated[float, Field(gt=0)] = (
        20  # per address; five seconds' worth at once
    )
    pdu_bytes: Annotated[int, Field(ge=4096, le=16_777_216)] = 131_072
    pdu_s: Seconds = 30  # for one PDU, however it drips
    request_s: Seconds = 30  # from the connection to the whole A-ASSOCIATE-RQ; TLS has 10 of them
    idle_s: Seconds = 60
    send_s: Seconds = 30  # until the peer has read an answer
    store_s: Seconds = 600  # for one C-STORE
    store_bytes_per_s: Annotated[float, Field(ge=0)] = 10_240  # slower than that is no transfer
    object_bytes: Count = 4_294_967_296
    study_instances: Count = 20_000
    waiting_studies: Count = 10_000  # not settled, or with a job that is queued
    space_soft_mb: Annotated[int, Field(ge=0)] = 2048  # less is free: no new association
    space_hard_mb: Annotated[int, Field(ge=0)] = 512  # less is free: no instance


class StudySettings(Strict):
    """When a study is complete, where its sender's `complete` does not say otherwise."""

    quiet_s: Seconds = 60  # nothing has come for so long, and nothing is known
    incomplete_s: Seconds = 600  # and something is known to be missing
    longest_s: Seconds = 7200  # however much still comes
    confirm_s: Seconds = 10  # between two counts of a PACS that may still be receiving
    single_series: bool = False  # a study of this sender never has two
    images_in_acquisition: bool = True  # what (0020,1002) says is right
    priors_s: Seconds = 120  # then it goes on without those that are not here


Device = Annotated[str, StringConstraints(pattern=r"^(cpu|cuda:[0-9]{1,3})$")]


class WorkSettings(Strict):
    """How jobs are run."""

    lease_s: Seconds = 60
    max_attempts: Annotated[int, Field(ge=1)] = 3
    retry_after_s: Annotated[float, Field(ge=0)] = 5  # grows with each attempt
    threads: Annotated[int, Field(ge=0)] = 0  # of torch on the CPU; 0: one per core
    devices: Annotated[tuple[Device, ...], Field(min_length=1)] | Literal["auto"] = "auto"
    slots: Annotated[int, Field(ge=1, le=64)] = 1  # processes for each device
    recycle_after: Count = 200  # attempts of one process
    memory_mb: Count | None = None  # of one process; None: 80 % of what is there, shared
    scratch_mb: Count = 10_240  # of temporary files and results of one process
    fence: Literal["auto", "required"] = "auto"
    user: Annotated[str, Field(min_length=1)] | None = None  # of the processes; root starts them


class CorrectionSettings(Strict):
    """What becomes of results that are out already: rejection notes are sent to every peer that has
    them, or they are marked here, and a person decides."""

    rejected: Literal["retract", "mark"] = "retract"  # made of images that a note rejects
    patient: Literal["retract", "mark"] = "mark"  # the study names another patient by now


class DeliverySettings(Strict):
    """How long, and how often, an unreachable peer is tried."""

    backoff_max_s: Seconds = 300
    max_age_days: Annotated[float, Field(gt=0)] = 7


class LogSettings(Strict):
    """`format: auto` is JSON lines unless somebody watches on a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class CompleteSettings(Strict):
    """How the studies of one sender are judged; what it leaves out stands under `study`."""

    ask: PeerName | None = None  # counts its images when an association has ended
    final: bool = False  # it has itself stopped receiving before it sends
    quiet_s: Seconds | None = None
    incomplete_s: Seconds | None = None
    longest_s: Seconds | None = None
    confirm_s: Seconds | None = None
    single_series: bool | None = None
    images_in_acquisition: bool | None = None

    def over(self, study: StudySettings) -> StudySettings:
        said = self.model_dump(exclude={"ask", "final"}, exclude_none=True)
        return study.model_copy(update=said)


class AcceptEntry(Strict):
    """Who may do what: this AE title, from these addresses, with this certificate. Nobody else.

    An entry with certificates is for the port with TLS, one without for the port without.
    """

    ae_title: AETitle
    from_: Annotated[tuple[Network, ...], Field(alias="from", min_length=1)]
    certificate: Annotated[tuple[CertificateName, ...], BeforeValidator(as_list)] = ()
    may: tuple[Literal["echo", "store", "commitment", "notify"], ...] = (
        *("echo", "store", "commitment"),
    )
    complete: CompleteSettings = CompleteSettings()


TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Route(Selection):
    """Which series go to which model, and where its results are sent."""

    model: ModelName
    version: ModelVersion | None = None  # None: the newest that is installed
    name: PeerName | None = None
    send_to: Annotated[tuple[PeerName, ...], Field(min_length=1)]
    report_unsuitable: bool = False  # a report for a study that no route takes
    inputs: dict[InputName, InputSelection] = Field(default_factory=dict)  # of a model of several
    priority: Literal["urgent", "routine", "background"] = "routine"
    between: tuple[TimeOfDay, TimeOfDay] | None = None  # local time; the jobs of other hours wait
    when: Literal["study", "series"] = "study"  # what must be complete before it is judged
    maps: tuple[Literal["saliency", "uncertainty"], ...] = ()  # beside the answer, for research

    @model_validator(mode="after")
    def _inputs_stand_alone(self) -> "Route":
        if not self.inputs:
            return self
        if self.has_rules:
            raise ValueError("a route with inputs has no rules itself: write them at its inputs")
        if self.when == "series":
            raise ValueError("a route with inputs is judged on the whole study: leave out `when`")
        if all(each.may_be_elsewhere for each in self.inputs.values()):
            raise ValueError("one of the inputs must be a series of the study that came")
        return self

    @model_validator(mode="after")
    def _window_is_open(self) -> "Route":
        if self.between and self.between[0] == self.between[1]:
            raise ValueError("between takes two times that differ, such as ['20:00', '06:00']")
        return self

    @property
    def model_label(self) -> str:
        """As `Store.by_label()` has it."""
        return self.model if self.version is None else f"{self.model} {self.version}"

    @property
    def label(self) -> str:
        return self.name or self.model

    @property
    def picks_one(self) -> bool:
        """The best series alone is taken, not each that suits."""
        return bool(self.prefer or self.tie or self.inputs)


class Config(Strict):
    """The whole configuration; `load()` checks that its parts agree, and says where they do not."""

    node: NodeSettings
    study: StudySettings = StudySettings()
    work: WorkSettings = WorkSettings()
    delivery: DeliverySettings = DeliverySettings()
    corrections: CorrectionSettings = CorrectionSettings()
    limits: LimitsSettings = LimitsSettings()
    web: WebSettings = WebSettings()
    metrics: MetricsSettings = MetricsSettings()
    alarms: AlarmSettings = AlarmSettings()
    probe: ProbeSettings | None = None
    audit: AuditSettings = AuditSettings()
    privacy: PrivacySettings = PrivacySettings()
    log: LogSettings = LogSettings()
    accept: tuple[AcceptEntry, ...] = ()
    peers: dict[PeerName, AnyPeer] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()

    def routes_of(self, calling_ae_title: str) -> tuple[Route, ...]:
        """Those that judge what this sender brings: the probe's study is for its own alone, so that
        it is nowhere but at its peer."""
        probe = self.probe
        if probe is None or calling_ae_title != probe.ae_title:
            return self.routes
        return tuple(
            each for each in self.routes if each.model == probe.model and probe.peer in each.send_to
        )

    def forms_of(self, peers: Iterable[PeerName], *, model: str = "") -> tuple[Form, ...]:
        """All that these peers may need, each once; a peer that is configured no longer needs
        none. Binary marks as well where a route takes the model's result as an input."""
        ladders = [self.peers[name].results.ladder for name in peers if name in self.peers]
        found = {form.label: form for ladder in ladders for form in ladder} or {"": DEFAULT}
        forms = tuple(found.values())
        inputs = [each.result_of for route in self.routes for each in route.inputs.values()]
        if model in inputs and all(each.marks_label != MARKS.marks_label for each in forms):
            return (*forms, MARKS)
        return forms
