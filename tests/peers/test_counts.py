"""What a PACS counts, asked on a real socket: only images, and only what it says itself."""

import pytest

from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.counts import Counts, count_images
from tests.peers.finder import Finder


def count(finder: Finder) -> Counts | None:
    with finder.running():
        return count_images(finder.settings, "1.2.3", calling_ae_title="AI_NODE")


def test_image_series_are_counted_one_by_one() -> None:
    finder = Finder(
        {"1.1": ("CT", 40), "1.2": ("CT", 2), "1.8": ("SEG", 1), "1.9": ("SR", 3), "1.7": ("OT", 1)}
    )
    assert count(finder) == Counts(images=42, series={"1.1": 40, "1.2": 2})
    assert finder.asked == [("SERIES", "1.2.3")]


def test_where_series_are_not_counted_the_study_is() -> None:
    finder = Finder({"1.1": ("CT", 40), "1.2": ("CT", 2)}, counts_series=False)
    assert count(finder) == Counts(images=42, series={})
    assert finder.asked == [("SERIES", "1.2.3"), ("STUDY", "1.2.3")]


@pytest.mark.parametrize(
    "finder",
    [
        Finder({}),
        Finder({"1.8": ("SEG", 1)}),
        Finder({"1.1": ("CT", 40), "1.8": ("SEG", 1)}, counts_series=False),
        Finder({"1.1": ("CT", 40)}, counts_series=False, counts_studies=False),
        Finder({"no UID": ("CT", 40)}),
    ],
    ids=["not there", "no images", "a sum of images and others", "no counts", "no UID"],
)
def test_what_says_nothing_is_no_count(finder: Finder) -> None:
    assert count(finder) is None


@pytest.mark.parametrize("status", [0xA700, 0xC001, 0xFE00])
def test_an_answer_that_failed_is_none(status: int) -> None:
    with pytest.raises(PeerUnreachable, match=f"refused a C-FIND with status {status:04X}"):
        count(Finder({"1.1": ("CT", 40)}, status=status))


def test_nobody_there_is_said_so() -> None:
    finder = Finder()
    with finder.running():
        pass
    with pytest.raises(PeerUnreachable, match="takes no association"):
        count_images(finder.settings, "1.2.3", calling_ae_title="AI_NODE")


def test_a_pacs_that_hangs_is_given_up_after_its_timeout() -> None:
    finder = Finder({"1.1": ("CT", 40)})
    finder.answering.clear()
    with finder.running():
        impatient = finder.settings.model_copy(update={"timeout_s": 0.3})
        with pytest.raises(PeerUnreachable):
            count_images(impatient, "1.2.3", calling_ae_title="AI_NODE")
