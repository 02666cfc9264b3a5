"""`routes`: which series go to which model, and where its results are sent."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dicom_ai_node.config.rules import InputSelection, Selection
from dicom_ai_node.config.strict import InputName, ModelName, ModelVersion, PeerName

TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Route(Selection):
    """Which series go to which model, and where its results are sent: [rules.md](rules.md)."""

    model: ModelName
    """The model, by its name in the model store."""
    version: ModelVersion | None = None
    """Its version; without it, the newest that is installed."""
    name: PeerName | None = None
    """What the route is called; without it, as its model."""
    send_to: Annotated[tuple[PeerName, ...], Field(min_length=1)]
    """The names under `peers` that results go to."""
    report_unsuitable: bool = False
    """Send a report for studies that no route takes, which says why."""
    inputs: dict[InputName, InputSelection] = Field(default_factory=dict)
    """For models of several series: rules for each input, by its name in the model's package."""
    priority: Literal["urgent", "routine", "background"] = "routine"
    """Which jobs run first."""
    between: tuple[TimeOfDay, TimeOfDay] | None = None
    """Local times, `["20:00", "06:00"]`, between which its jobs run; those of other hours wait."""
    when: Literal["study", "series"] = "study"
    """What must be complete before it is judged."""
    maps: tuple[Literal["saliency", "uncertainty"], ...] = ()
    """Maps beside the answer, for research: [outputs.md](outputs.md)."""

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
