"""Which strings are UIDs, and how ours are made."""

import pytest
from pydicom.uid import UID

from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, derived_uid, is_uid


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.2", "2.25.0", "1.02.3", "9" * 64])
def test_a_uid(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".1", "1..2", "9" * 65, "1.2\n", "1.2 ", "1.2\0", "1.a", "1/2", "..", "１.２"],
)
def test_no_uid(text: str) -> None:
    assert not is_uid(text)


def test_derived_uids_are_valid_and_stable() -> None:
    uid = derived_uid("job", 1, "seg")
    assert UID(uid).is_valid
    assert uid == derived_uid("job", "1", "seg") == "2.25.27703009571845910513444350708358986132"
    assert len({uid, derived_uid("job", "1seg"), derived_uid("job1", "seg")}) == 3
    assert UID(IMPLEMENTATION_CLASS_UID).is_valid
