"""The fast gradient sign method (Goodfellow 2015) on a torch network's own input."""

from torch import Tensor, autograd, enable_grad, inference_mode, nn

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import TorchPackage
from dicom_ai_node.models.formats.torch_network import build_network, load_state
from dicom_ai_node.models.gate import GatedModel
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.protocol import Model


def attacked(installed: InstalledModel, package: TorchPackage, part: float) -> Model:
    """The same model, whose network sees each input moved against its own answer, in every voxel
    by `part` of that input's range. On the CPU."""
    network = build_network(installed, package.network)
    load_state(network, read_pinned(installed, package.weights.file), package.name)
    network.eval()

    def run(batch: Tensor) -> object:
        return network(batch + _step(network, batch, part))

    return GatedModel(NetworkModel(package, run), package)


def _step(network: nn.Module, batch: Tensor, part: float) -> Tensor:
    # torch has no gradients of what was made in inference mode: leave it, and take a copy
    with inference_mode(mode=False), enable_grad():
        given = batch.clone().requires_grad_()
        (gradient,) = autograd.grad(_certainty(network(given)), given)
    return -part * (batch.max() - batch.min()) * gradient.sign()


def _certainty(answer: object) -> Tensor:
    """How much the winner wins by, in all places together; less of it is the attack."""
    if isinstance(answer, dict):
        answer = next(iter(answer.values()))
    if isinstance(answer, (tuple, list)):
        answer = answer[0]
    assert isinstance(answer, Tensor)  # noqa: S101 - infer() has seen such an answer before
    if answer.ndim > 1 and answer.shape[1] > 1:
        best = answer.topk(2, dim=1).values
        return (best[:, 0] - best[:, 1]).sum()
    is_probability = bool(((answer >= 0) & (answer <= 1)).all())
    return (answer - (0.5 if is_probability else 0.0)).abs().sum()
