"""Whole inputs, windows and slices; memory that is short; answers that are none."""

import pytest
import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import Tensor

from dicom_ai_node.config.network import Slices, SlidingWindow, Whole
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.network.infer import infer
from tests.models.network.packages import network

WINDOWS = SlidingWindow(kind="sliding_window", roi_size=(8, 8, 8), batch=4)


def test_windows_are_those_of_monai() -> None:
    tensor = torch.randn(1, 12, 10, 15)
    with torch.inference_mode():
        theirs = SlidingWindowInferer((8, 8, 8), 4, overlap=0.25, mode="gaussian")(
            tensor[None], network()
        )
    assert torch.equal(infer(network(), tensor, WINDOWS)[0], theirs[0])


def test_an_input_smaller_than_a_window_is_padded_and_cut_again() -> None:
    assert infer(network(), torch.randn(1, 5, 9, 6), WINDOWS)[0].shape == (2, 5, 9, 6)


def test_slices_are_put_together_along_their_axis() -> None:
    tensor = torch.randn(2, 4, 5, 6)

    def plane(batch: Tensor) -> Tensor:
        assert batch.shape[1:] == (2, 4, 6)
        return batch.sum(dim=1, keepdim=True)

    found = infer(plane, tensor, Slices(kind="slices", axis=1, batch=2))[0]
    assert torch.allclose(found, tensor.sum(dim=0, keepdim=True))


def test_a_number_for_each_slice_is_a_row() -> None:
    def scores(batch: Tensor) -> Tensor:
        return batch.mean(dim=(1, 2, 3))[:, None]

    found = infer(scores, torch.ones(1, 4, 5, 6), Slices(kind="slices", axis=2))[0]
    assert found.shape == (1, 6)


def test_a_network_that_gives_one_number_without_a_channel_gives_a_row() -> None:
    found = infer(
        lambda batch: batch.mean(dim=(1, 2, 3)), torch.ones(1, 4, 5, 6), Slices(kind="slices")
    )[0]
    assert found.shape == (1, 6)


def test_several_outputs_keep_their_names() -> None:
    def two(batch: Tensor) -> dict[str, Tensor]:
        return {"seg": batch * 2, "logits": batch.half()}

    found = infer(two, torch.ones(1, 4, 4, 4), Whole())
    assert set(found) == {"seg", "logits"}
    assert found["logits"].dtype == torch.float32
    assert found["logits"].shape == (1, 4, 4, 4)


@pytest.mark.fault("E6")
def test_windows_run_in_halves_once_memory_was_short() -> None:
    sizes = []

    def needs_room(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return batch * 2

    tensor = torch.randn(1, 16, 16, 8)
    how = WINDOWS.model_copy(update={"overlap": 0.0})
    assert torch.allclose(infer(needs_room, tensor, how)[0], tensor * 2, atol=1e-5)
    assert sizes == [4, 2, 2]


@pytest.mark.fault("E6")
@pytest.mark.parametrize("batch", [1, 4])
def test_memory_that_stays_short_is_a_failed_attempt(batch: int) -> None:
    def never(_batch: Tensor) -> Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        infer(never, torch.ones(1, 16, 16, 8), WINDOWS.model_copy(update={"batch": batch}))


@pytest.mark.fault("E5")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_voxel_that_is_no_number_is_refused(value: float) -> None:
    def broken(batch: Tensor) -> Tensor:
        answer = batch.clone()
        answer[0, 0, 1, 1, 1] = value
        return answer

    with pytest.raises(ModelError, match="not a number"):
        infer(broken, torch.ones(1, 8, 8, 8), WINDOWS)


@pytest.mark.parametrize("answer", ["text", None, [1, 2]])
def test_an_answer_that_is_no_tensor_is_refused(answer: object) -> None:
    with pytest.raises(ModelError, match="tensor"):
        infer(lambda _batch: answer, torch.ones(1, 4, 4, 4), Whole())


def test_windows_of_another_dimension_are_refused() -> None:
    with pytest.raises(ModelError, match="roi_size has 2 axes, and the input 3"):
        infer(network(), torch.ones(1, 8, 8, 8), WINDOWS.model_copy(update={"roi_size": (8, 8)}))
