"""What all objects of one run are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.encoders.follow_up import NOTHING_EARLIER, FollowUp
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.result import Result

# of a SOP Instance UID and a frame number (from 1; None where the instance has one), as a viewer
# would show it: uint8, rows × columns, or rows × columns × RGB. InputError where nobody can.
Picture: TypeAlias = Callable[[str, int | None], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """`headers` are as they were read, in the order of their UIDs, and `sources` their stand-ins;
    `evidence` are headers of further inputs. `parts` is what the result marks, each for a SEG.

    `picture` is None where no pixels are at hand: then nothing is drawn on images.
    """

    result: Result
    headers: Sequence[Dataset]
    sources: Sequence[Dataset]
    run: Run
    parts: Sequence[Marked]
    evidence: Sequence[Dataset] = ()
    picture: Picture | None = None
    follow_up: FollowUp = NOTHING_EARLIER

    @property
    def header(self) -> Dataset:
        """One of the source's, for what all of them share: patient and study."""
        return self.headers[0]
