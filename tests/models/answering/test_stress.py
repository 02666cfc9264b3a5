"""How far an answer moves when its case is disturbed."""

from pathlib import Path

import numpy as np
import torch

from dicom_ai_node.known_answer.record import as_installed
from dicom_ai_node.known_answer.stress import ATTACK, stress_here
from dicom_ai_node.models.answering.stress import Stressed, disturbances, disturbed, moved, shifted
from dicom_ai_node.models.threshold import Threshold
from tests.models import phantom
from tests.models.answering import case_package as made


def stressed(package: Path) -> dict[str, Stressed]:
    found = stress_here(as_installed(package, trusted=False))
    assert len(found) == len({each.disturbance for each in found})
    return {each.disturbance: each for each in found}


def change(row: Stressed, what: str) -> str:
    return next(each.change for each in row.moved if each.what == what)


def test_a_threshold_stands_what_stays_within_its_range(tmp_path: Path) -> None:
    """500 HU in air, found from 300 HU: noise of 2 % of 1,500 HU and 10 % of gain are nothing."""
    rows = stressed(made.threshold(tmp_path / "package"))
    for name in ("noise 1 % of the range", "gain +10 %", "gain -10 %", "offset 5 % of the range"):
        assert change(rows[name], "Bone 1: Volume") == "+0.00 %"
        assert change(rows[name], "segment 1: Dice") == "+0.0000"
    gone = rows["blur, sigma 1 voxel"]
    assert gone.outcome.startswith("none: ")
    assert (change(gone, "Bone 1: Volume"), change(gone, "findings")) == ("gone", "-1")
    assert change(gone, "segment 1: Dice") == "-1.0000"
    assert rows[ATTACK].outcome == "not applicable: a model of kind threshold shows no gradient"


def test_a_shift_is_undone_before_masks_are_compared(tmp_path: Path) -> None:
    """A model that follows the image has not moved at all."""
    rows = stressed(made.threshold(tmp_path / "package"))
    for name in ("shift by 1 voxel", "shift by 2 voxels"):
        assert change(rows[name], "segment 1: Dice") == "+0.0000"
    array = np.zeros((4, 4, 4), np.float32)
    array[1, 1, 1] = 1
    assert np.argwhere(shifted(array, 2)).tolist() == [[3, 3, 3]]


def test_disturbances_are_as_large_as_they_say(tmp_path: Path) -> None:
    """And the same each time; headers and geometry stay."""
    data = phantom.model_input(np.linspace(0, 1000, 8000).reshape(20, 20, 20))
    before = data.needed_volume()
    for each in disturbances():
        after = disturbed(data, each).needed_volume()
        again = disturbed(data, each).needed_volume()
        assert after.geometry_equal(before)
        assert (after.array == again.array).all()
        assert after.array.dtype == np.float32
        off = after.array - before.array
        if each.name.startswith("noise"):
            percent = int(each.name.split()[1])
            assert 0.95 < off.std() / (9.8 * percent) < 1.05
        if each.name.startswith("offset"):
            assert np.allclose(off, 49, atol=0.1)


def test_every_number_of_the_answer_is_followed() -> None:
    data = phantom.model_input()
    model = Threshold(phantom.package())
    before, nothing = (
        model.predict(data),
        model.predict(phantom.model_input(np.zeros((20, 10, 10)))),
    )
    assert [each.what for each in moved(before, nothing)] == [
        "findings",
        "Bone 1: Volume",
        "segment 3: Dice",
    ]
    assert [each.change for each in moved(before, before)] == ["+0", "+0.00 %", "+0.0000"]


def test_an_attack_moves_a_network_more_than_noise_of_its_size(tmp_path: Path) -> None:
    """The gradient knows where it hurts: noise of 1 % does not."""
    package = made.network(tmp_path / "package")
    volume = np.random.default_rng(5).integers(-1000, 1000, (32, 16, 16)).astype(np.int16)
    made.add(package, {"outcome": "findings"}, array=volume)
    rows = stressed(package)

    def lost(name: str) -> float:
        return -float(change(rows[name], "segment 1: Dice"))

    assert lost(ATTACK) > 2 * lost("noise 1 % of the range")
    assert torch.is_grad_enabled()
