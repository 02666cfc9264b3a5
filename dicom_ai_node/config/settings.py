"""The keys of `config/*.yaml`, their types, their defaults: the only place where any stands.

The docstring under a key explains it to an administrator: docs/configuration.md, the JSON Schema
and `config example` are made of these.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from dicom_ai_node.config.accept import AcceptEntry
from dicom_ai_node.config.alarms import AlarmSettings, ProbeSettings
from dicom_ai_node.config.audit import AuditSettings
from dicom_ai_node.config.delivery import CorrectionSettings, DeliverySettings
from dicom_ai_node.config.limits import LimitsSettings
from dicom_ai_node.config.node import NodeSettings, TlsSettings
from dicom_ai_node.config.observe import MetricsSettings, WebSettings
from dicom_ai_node.config.peers import AnyPeer
from dicom_ai_node.config.privacy import PrivacySettings
from dicom_ai_node.config.routes import Route
from dicom_ai_node.config.strict import PeerName, Strict
from dicom_ai_node.config.studies import CompleteSettings, StudySettings
from dicom_ai_node.config.work import WorkSettings
from dicom_ai_node.form import DEFAULT, MARKS, Form

__all__ = [
    "AcceptEntry",
    "CompleteSettings",
    "Config",
    "CorrectionSettings",
    "DeliverySettings",
    "LimitsSettings",
    "LogSettings",
    "NodeSettings",
    "Route",
    "StudySettings",
    "TlsSettings",
    "WorkSettings",
]


class LogSettings(Strict):
    """What is logged to stderr; nothing in it identifies a patient."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "text"] = "auto"
    """auto: JSON lines, unless stderr is a terminal."""


class Config(Strict):
    """The configuration of a DICOM AI node: every `*.yaml` in its folder, merged."""

    node: NodeSettings
    """Who this node is, where it listens, and where it keeps things."""
    study: StudySettings = StudySettings()
    """When a study is complete."""
    work: WorkSettings = WorkSettings()
    """How jobs are run."""
    delivery: DeliverySettings = DeliverySettings()
    """How an unreachable peer is tried."""
    corrections: CorrectionSettings = CorrectionSettings()
    """What becomes of results that are out already."""
    limits: LimitsSettings = LimitsSettings()
    """What a peer may cost."""
    web: WebSettings = WebSettings()
    """The web page."""
    metrics: MetricsSettings = MetricsSettings()
    """The port for Prometheus and for health checks."""
    alarms: AlarmSettings = AlarmSettings()
    """What raises an alarm, and who is told."""
    probe: ProbeSettings | None = None
    """The study with which the node tries itself."""
    audit: AuditSettings = AuditSettings()
    """The audit trail."""
    privacy: PrivacySettings = PrivacySettings()
    """What models that run outside may see of a patient."""
    log: LogSettings = LogSettings()
    """The log."""
    accept: tuple[AcceptEntry, ...] = ()
    """Who may connect; nobody else."""
    peers: dict[PeerName, AnyPeer] = Field(default_factory=dict)
    """Where results go, and who is asked for studies, each by a name that you choose."""
    routes: tuple[Route, ...] = ()
    """Which series go to which model, and where its results are sent."""

    def routes_of_probe(self, model: str, peer: str) -> tuple[Route, ...]:
        """Those that judge the study of a run with these, so that it is nowhere but at its peer."""
        return tuple(
            each.model_copy(update={"send_to": (peer,)})
            for each in self.routes
            if each.model == model and peer in each.send_to
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
