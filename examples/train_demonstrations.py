"""Train the demonstrations of the catalogue: a detection and a classification of drawn lesions.

    python -m examples.train_demonstrations [--downloads DIR] [--only NAME]

The same seeds and packages give the same weights on the same processor; they and the calibration
are written into the catalogue. (The detection that is shipped took three such runs, started by
hand: see README.md here.) `examples.known_answers` then makes the cases, and
`examples.score_demonstrations` says how good they are on a head that was not trained on.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dicom_ai_node.models.installation.install import CATALOGUE
from examples.networks import (
    CLASSIFICATION,
    DETECTION,
    Scene,
    batches,
    described,
    heat_loss,
    trained,
    untrained,
)
from examples.scenes import on_grid, part, patch, patch_anywhere, whole
from examples.sources import DOWNLOADS, TRAINING, Head, read_head

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    make: Scene
    steps: int
    batch: int
    rate: float


THREADS = 1
SEED = 1
STAGES = {
    DETECTION: [
        Stage(make=patch, steps=500, batch=4, rate=1e-2),
        Stage(make=patch_anywhere, steps=600, batch=4, rate=5e-3),
    ],
    # what a lesion is, it learns from pieces in seconds; what a whole head is, after that
    CLASSIFICATION: [
        Stage(make=part, steps=160, batch=16, rate=1e-2),
        Stage(make=whole, steps=100, batch=6, rate=3e-3),
    ],
}
CALIBRATION_BATCHES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--downloads", type=Path, default=DOWNLOADS)
    parser.add_argument("--only", choices=[DETECTION, CLASSIFICATION])
    asked = parser.parse_args()
    say = Console().print
    torch.set_num_threads(THREADS)
    heads = [read_head(name, each, asked.downloads, say) for name, each in TRAINING.items()]
    for name in [asked.only] if asked.only else [DETECTION, CLASSIFICATION]:
        prepared_heads = [on_grid(head, described(name)) for head in heads]
        network = train(name, prepared_heads, say)
        save_weights(network, CATALOGUE / name / "weights.safetensors")
        if name == CLASSIFICATION:
            slope, intercept = calibration(network, prepared_heads)
            say(f"{name}: calibration {slope:.3f}, {intercept:.3f}")
            write_calibration(CATALOGUE / name / "model.yaml", slope, intercept)


def train(name: str, heads: list[Head], say: Progress) -> nn.Module:
    network = untrained(name, SEED)
    rng = np.random.default_rng(SEED)
    loss = heat_loss if name == DETECTION else binary_cross_entropy_with_logits
    for stage in STAGES[name]:
        data = batches(stage.make, heads, stage.batch, rng)
        recent: list[float] = []
        for step, value in enumerate(trained(network, data, loss, stage.steps, stage.rate), 1):
            recent.append(value)
            if step % 50 == 0:
                say(f"{name}: step {step} of {stage.steps}, loss {np.mean(recent):.3f}")
                recent.clear()
    return network.eval()


def save_weights(network: nn.Module, path: Path) -> None:
    """Float16 halves the file; computing is in float32 all the same."""
    state = network.state_dict()
    save_file({key: _half(value) for key, value in state.items()}, path)


def calibration(network: nn.Module, heads: list[Head]) -> tuple[float, float]:
    """Slope and intercept for the logits (Platt), on lesions that were not trained on."""
    data = batches(whole, heads, 6, np.random.default_rng(SEED + 1))
    logits, wanted = _answers(network, data)
    line = torch.tensor([1.0, 0.0], requires_grad=True)
    # Platt's targets: as if one more of each had been seen, so that the line stays finite
    count = wanted.sum()
    high, low = (count + 1) / (count + 2), 1 / (len(wanted) - count + 2)
    targets = torch.where(wanted > 0, high, low)
    optimizer = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(logits * line[0] + line[1], targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    slope, intercept = line.detach().tolist()
    return slope, intercept


def write_calibration(description: Path, slope: float, intercept: float) -> None:
    text = description.read_text()
    line = f"calibration: [{slope:.3f}, {intercept:.3f}]"
    description.write_text(re.sub(r"calibration: \[.*\]", line, text))


def _answers(network: nn.Module, data: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    logits: list[Tensor] = []
    wanted: list[Tensor] = []
    with torch.no_grad():
        for _ in range(CALIBRATION_BATCHES):
            images, truth = next(data)
            logits.append(network(images).flatten())
            wanted.append(truth.flatten())
    return torch.cat(logits), torch.cat(wanted)


def _half(value: Tensor) -> Tensor:
    return value.half().contiguous() if value.is_floating_point() else value


if __name__ == "__main__":
    main()
