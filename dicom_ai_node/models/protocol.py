"""The seam between the node and whatever finds something in images."""

from typing import Protocol

from dicom_ai_node.input import ModelInput
from dicom_ai_node.result import Result


class Model(Protocol):
    """A model, opened once and kept warm: `predict` is called for one study after another.

    An implementation keeps what it loaded between calls and nothing else: the same input gives the
    same result, whatever came before it.
    """

    def predict(self, data: ModelInput) -> Result:
        """Find what this model is made to find.

        Parameters
        ----------
        data : ModelInput
            Headers of the source instances, and their pixels: as the package's ``input`` says, one
            float32 volume in modality units (``data.needed_volume()``) whose affine maps voxel
            indices to the patient coordinate system (LPS, mm), or ``data.images``.

        Returns
        -------
        Result
            The mask, where there is one, is uint8 in exactly the geometry of ``data.volume``, and
            holds the segment numbers that the package declares. An input for which the model was
            not made is a result too: ``Result.not_suitable(reason)``, with a reason that a
            radiologist may read.

        Raises
        ------
        InputError
            The input cannot be analysed, and a retry would not change that.
        ModelError
            The model did not keep this contract.
        """
        ...
