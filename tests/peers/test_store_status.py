"""What is kept of an answer to C-STORE; what the codes mean is in `test_dimse`."""

from pydicom import Dataset

from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.store_status import outcome_of


def answer(status: int, **elements: object) -> Dataset:
    ds = Dataset()
    ds.Status = status
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def test_of_a_warning_the_elements_are_named_and_its_comment_is_not_repeated() -> None:
    """A comment may quote the data set."""
    said = answer(0xB000, OffendingElement=[0x00100010, 0x00080050], ErrorComment="Phantom^Left")
    outcome = outcome_of(said)
    assert outcome.status == "B000: it altered elements (0010,0010) (0008,0050)"
    assert (outcome.state, outcome.has_warning) == (DeliveryState.STORED, True)
    one = outcome_of(answer(0xB006, OffendingElement=0x00100010))
    assert one.status == "B006: it discarded elements (0010,0010)"


def test_warnings_that_are_not_in_the_storage_table_are_deliveries_too() -> None:
    for status in (0xB123, 0x0107, 0x0116):
        outcome = outcome_of(answer(status))
        assert (outcome.state, outcome.has_warning) == (DeliveryState.STORED, True)
        assert outcome.status == f"{status:04X}: a warning"


def test_a_failure_keeps_no_comment_either() -> None:
    assert "Phantom" not in outcome_of(answer(0xC000, ErrorComment="Phantom^Left")).status
