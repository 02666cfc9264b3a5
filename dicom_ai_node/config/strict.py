"""What every part of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

NAME_OF_A_MODEL = r"^[a-z0-9][a-z0-9._-]{0,62}$"
VERSION_OF_A_MODEL = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,31}$"  # the name of a folder of the store
SHA256 = r"^[0-9a-f]{64}$"
NAME_OF_A_PEER = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"
NAME_OF_AN_INPUT = r"^[a-z][a-z0-9_-]{0,31}$"

ModelName = Annotated[str, Field(pattern=NAME_OF_A_MODEL)]
ModelVersion = Annotated[str, Field(pattern=VERSION_OF_A_MODEL)]
Sha256 = Annotated[str, Field(pattern=SHA256)]
PeerName = Annotated[str, Field(pattern=NAME_OF_A_PEER)]
InputName = Annotated[str, Field(pattern=NAME_OF_AN_INPUT)]


class Strict(BaseModel):
    """Unknown keys are errors: a misspelt limit must not silently be no limit.

    The docstring under a key is its description in the JSON Schema and in docs/configuration.md.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
