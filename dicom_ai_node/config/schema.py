"""The JSON Schema of the configuration, for editors: what `config schema` prints."""

from collections.abc import Iterator
from typing import Any

from dicom_ai_node.config.settings import Config

ID = "urn:dicom-ai-node:configuration"


def published() -> dict[str, Any]:
    """Of one file: others may hold the rest of a section, so no key of a section is required."""
    made = whole()
    del made["required"]
    for section in made["properties"].values():
        if "$ref" in section:
            made["$defs"][section["$ref"].rpartition("/")[2]].pop("required", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        **made,
        "title": "Configuration of dicom-ai-node",
    }


def whole() -> dict[str, Any]:
    """Of all files together."""
    made = Config.model_json_schema()
    for each in _objects(made):
        if "patternProperties" in each:
            each["additionalProperties"] = False  # a name that cannot be one
        for described in each.get("properties", {}).values():
            described.pop("title", None)  # pydantic's, made of the key
        if "description" in each:
            each["description"] = " ".join(each["description"].split())
    return made


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema, and the schema itself."""
    if isinstance(value, dict):
        yield value
        for below in list(value.values()):
            yield from _objects(below)
    elif isinstance(value, list):
        for below in value:
            yield from _objects(below)
