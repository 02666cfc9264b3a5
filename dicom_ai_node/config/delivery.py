"""`delivery`: how results are sent; `corrections`: what becomes of those that are out already."""

from typing import Annotated, Literal

from pydantic import Field

from dicom_ai_node.config.strict import Strict
from dicom_ai_node.config.values import Seconds


class DeliverySettings(Strict):
    """How long, and how often, an unreachable peer is tried."""

    backoff_max_s: Seconds = 300
    """The longest pause between two tries, in seconds; the first ones are shorter."""
    max_age_days: Annotated[float, Field(gt=0)] = 7
    """After so many days of trying, the job is *undelivered*, and waits for a person."""


class CorrectionSettings(Strict):
    """What becomes of results that are out already: rejection notes are sent to every peer that has
    them, or they are marked here, and a person decides: [corrections.md](corrections.md)."""

    rejected: Literal["retract", "mark"] = "retract"
    """Of results that are made of images which a note rejects: retract sends rejection notes, mark
    leaves it to you."""
    patient: Literal["retract", "mark"] = "mark"
    """Of results of a study that names another patient by now."""
