"""A series written, read back as the spool has it, and loaded; and small changes to it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dicom_ai_node.errors import InputError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.loading.load import load
from tests.dicom_factory import write
from tests.made import stored


def loaded(folder: Path, instances: Sequence[Dataset], *, kind: str = "volume") -> ModelInput:
    return load(stored(write(instances, folder)), kind=kind)


def refusal(folder: Path, instances: Sequence[Dataset], *, kind: str = "volume") -> str:
    with pytest.raises(InputError) as caught:
        loaded(folder, instances, kind=kind)
    return str(caught.value)


def without(keyword: str) -> Callable[[list[Dataset]], None]:
    def change(instances: list[Dataset]) -> None:
        del instances[3][keyword]

    return change


def everywhere_without(keyword: str) -> Callable[[list[Dataset]], None]:
    def change(instances: list[Dataset]) -> None:
        for ds in instances:
            del ds[keyword]

    return change


def put(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    def change(instances: list[Dataset]) -> None:
        instances[3].pop(keyword, None)  # instances share elements
        setattr(instances[3], keyword, value)

    return change


def put_bytes(keyword: str, value: bytes) -> Callable[[list[Dataset]], None]:
    """Bytes that are not of the attribute's VR, as they come from outside."""

    def change(instances: list[Dataset]) -> None:
        tag = BaseTag(tag_for_keyword(keyword) or 0)
        vr = dictionary_VR(tag)
        instances[3][tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)

    return change


def put_everywhere(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    def change(instances: list[Dataset]) -> None:
        for ds in instances:
            ds.pop(keyword, None)
            setattr(ds, keyword, value)

    return change
