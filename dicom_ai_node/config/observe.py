"""The ports that people and monitoring look at."""

from typing import Annotated

from pydantic import Field

from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import ListenPort


class WebSettings(Strict):
    """The web page, which needs the extra `web`."""

    host: str = "127.0.0.1"
    """Where the page listens."""
    port: ListenPort | None = 8080
    """null: there is no page."""


class MetricsSettings(Strict):
    """`/metrics` for Prometheus, `/health/live`, `/health/ready` and `/status.json`."""

    host: str = "127.0.0.1"
    """Where it listens; nothing that it says identifies a patient."""
    port: ListenPort | None = 9464
    """null: nowhere."""
    silent_s: Annotated[float, Field(ge=5)] = 60
    """After so many seconds without a sign of life from a role (`receive`, `work`, `deliver`),
    `/health/ready` says that the node is not ready."""
