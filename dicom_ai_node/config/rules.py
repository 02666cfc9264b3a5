"""Rules are data: conditions over DICOM attributes and computed facts, never evaluated code."""

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydicom.datadict import tag_for_keyword

from dicom_ai_node.config.strict import Strict

# What a rule may ask beside attributes; `route.facts()` computes them over all instances.
FACTS = frozenset({"instances", "calling_ae", "called_ae", "transfer_syntaxes"})

Scalar = bool | int | float | str
Operator = Literal["eq", "in", "has_all", "has_any", "matches", "between", "ge", "le"]
_LIST_OPERATORS = {"in", "has_all", "has_any", "between"}


class Condition(Strict):
    """`attr` is a DICOM keyword, or a fact with a dollar sign before it."""

    attr: str
    op: Operator
    value: Scalar | tuple[Scalar, ...]
    missing: Literal["fail", "pass"] = "fail"

    @field_validator("attr")
    @classmethod
    def _attr_exists(cls, attr: str) -> str:
        if attr.startswith("$"):
            if attr[1:] not in FACTS:
                raise ValueError(f"{attr} is no fact; facts are ${', $'.join(sorted(FACTS))}")
        elif tag_for_keyword(attr) is None:
            raise ValueError(f"{attr} is not a keyword of the DICOM dictionary (PS3.6)")
        return attr

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
        return self

    @property
    def values(self) -> tuple[Scalar, ...]:
        return self.value if isinstance(self.value, tuple) else (self.value,)


class AnyOf(Strict):
    any: Annotated[tuple["Clause", ...], Field(min_length=1)]


class AllOf(Strict):
    all: Annotated[tuple["Clause", ...], Field(min_length=1)]


def _clause_kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else type(value).model_fields
    return next((kind for kind in ("any", "all") if kind in keys), "condition")


Clause = Annotated[
    Annotated[Condition, Tag("condition")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[AllOf, Tag("all")],
    Discriminator(_clause_kind),
]

AnyOf.model_rebuild()
AllOf.model_rebuild()
