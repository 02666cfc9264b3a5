"""What stands around a model: the input that it was made for, the answers that can be believed."""

from typing import Annotated

from pydantic import Field

from dicom_ai_node.config.strict import Strict


class InputGate(Strict):
    """What the model was made for; anything else is `not_suitable` before inference.

    An absent BodyPartExamined passes: many scanners leave it out. Images that were ever compressed
    with loss pass only where the model is known to bear it.
    """

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    accept_lossy: bool = False


class VolumeRange(Strict):
    """A segment whose volume (mL) lies outside is not believed: the answer is `not_suitable`."""

    segment: Annotated[int, Field(ge=1, le=255)]
    between_ml: tuple[float, float]
