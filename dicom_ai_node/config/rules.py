"""Rules are data: conditions over DICOM attributes and computed facts, never evaluated code."""

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dicom_ai_node.config.expression import refuse_slow
from dicom_ai_node.config.strict import ModelName, PeerName, Strict

_YES_OR_NO = frozenset({"regular", "contrast", "lossy"})
# What a rule may ask beside attributes, over all instances: facts.facts_of(), parts, senders
FACTS = _YES_OR_NO | {
    *("instances", "frames", "parts", "phases", "duplicates", "orientations", "matrices"),
    *("frames_of_reference", "plane", "spacing", "shear_mm", "coverage_mm", "kernel", "age"),
    *("transfer_syntaxes", "calling_ae", "called_ae"),
}

Scalar = bool | int | float | str
Operator = Literal["eq", "in", "has_all", "has_any", "matches", "between", "ge", "le"]
_LIST_OPERATORS = {"in", "has_all", "has_any", "between"}


def _known(attr: str) -> str:
    from pydicom.datadict import tag_for_keyword  # brings all of pydicom, which not all rules need

    if attr.startswith("$"):
        if attr[1:] not in FACTS:
            raise ValueError(f"{attr} is no fact; facts are ${', $'.join(sorted(FACTS))}")
    elif tag_for_keyword(attr) is None:
        raise ValueError(f"{attr} is not a keyword of the DICOM dictionary (PS3.6)")
    return attr


class Condition(Strict):
    """What one attribute must be, or one fact: [rules.md](rules.md)."""

    attr: str
    """A keyword of the DICOM dictionary, or a fact with a dollar sign before it (`$plane`)."""
    op: Operator
    """How it is compared."""
    value: Scalar | tuple[Scalar, ...]
    """With what: one value, or a list where the operator takes one."""
    missing: Literal["fail", "pass"] = "fail"
    """pass: a series without this attribute is fine."""

    @field_validator("attr")
    @classmethod
    def _attr_exists(cls, attr: str) -> str:
        return _known(attr)

    @model_validator(mode="after")
    def _value_fits_operator(self) -> "Condition":
        if (self.op in _LIST_OPERATORS) != isinstance(self.value, tuple):
            shape = "a list" if self.op in _LIST_OPERATORS else "one value"
            raise ValueError(f"{self.op} takes {shape}")
        if self.op == "between" and len(self.values) != 2:
            raise ValueError("between takes a list of two numbers, [low, high]")
        if self.op in ("between", "ge", "le"):
            for value in self.values:
                if isinstance(value, (bool, str)):
                    raise ValueError(f"{self.op} takes numbers")  # noqa: TRY004 — pydantic's kind
        if self.op == "between" and float(self.values[0]) > float(self.values[1]):
            raise ValueError("between takes [low, high], and the first is higher than the second")
        if self.op == "matches":
            try:
                re.compile(str(self.value))
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
            refuse_slow(str(self.value))
        if self.attr[1:] in _YES_OR_NO and not all(isinstance(v, bool) for v in self.values):
            raise ValueError(f"{self.attr} is true or false: write one of them, without quotes")
        return self

    @property
    def values(self) -> tuple[Scalar, ...]:
        return self.value if isinstance(self.value, tuple) else (self.value,)


class AnyOf(Strict):
    """Holds when one of these does."""

    any: Annotated[tuple["Clause", ...], Field(min_length=1)]
    """Conditions, or `any` and `all` again."""


class AllOf(Strict):
    """Holds when all of these do."""

    all: Annotated[tuple["Clause", ...], Field(min_length=1)]
    """Conditions, or `any` and `all` again."""


def _clause_kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", ())
    return next((kind for kind in ("any", "all") if kind in keys), "condition")


Clause = Annotated[
    Annotated[Condition, Tag("condition")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[AllOf, Tag("all")],
    Discriminator(_clause_kind),
]

AnyOf.model_rebuild()
AllOf.model_rebuild()


class Preference(Strict):
    """A series that fulfils the clause is better by the weight; less than 0: worse."""

    when: Clause
    """A condition, or `any` or `all` of several."""
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    """How much better; less than 0: worse."""


# names of the standing exclusions (config.standing)
Allowed = Literal["derived", "localizer", "projection", "burned_in", "bolus_tracking"]


class Selection(Strict):
    """Which series suit: all of `require`, none of `exclude`; and which of them is the best."""

    require: tuple[Clause, ...] = ()
    """A series must fulfil all of these."""
    exclude: tuple[Clause, ...] = ()
    """A series must fulfil none of these."""
    prefer: tuple[Preference, ...] = ()
    """Of the series that suit, the best alone is taken, by these weights."""
    tie: tuple[str, ...] = ()
    """What decides between equally good ones: `SeriesNumber` takes the smaller, `-$instances` the
    larger."""
    allow: tuple[Allowed, ...] = ()
    """Kinds of series that are left out otherwise."""

    @field_validator("tie")
    @classmethod
    def _tie_exists(cls, tie: tuple[str, ...]) -> tuple[str, ...]:
        for each in tie:
            _known(each.removeprefix("-"))
        return tie

    @property
    def has_rules(self) -> bool:
        return bool(self.require or self.exclude or self.prefer or self.tie or self.allow)


class Prior(Strict):
    """An input that is a series of an earlier study of the same patient."""

    within_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3650
    """How old it may be, in days."""
    from_: PeerName | None = Field(default=None, alias="from")
    """The peer, of kind dimse, from which it may be fetched."""


class InputSelection(Selection):
    """The series for one of several inputs of a model."""

    optional: bool = False
    """The model runs without it, too."""
    result_of: ModelName | None = None
    """The input is the mask that this model made of the same study."""
    prior: Prior | None = None
    """The input is a series of an earlier study: [priors.md](priors.md)."""

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> "InputSelection":
        if self.result_of and (self.has_rules or self.prior):
            raise ValueError("the result of a model is not chosen by rules: leave them out")
        return self

    @property
    def may_be_elsewhere(self) -> bool:
        """No series of the study that came, or not always."""
        return self.optional or self.result_of is not None or self.prior is not None
