"""The known case disturbed, in all the ways of `models.answering.stress`, and the answers to it."""

from collections.abc import Iterator

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import TorchPackage
from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.known_answer.check import case
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.answering.stress import Stressed, disturbances, disturbed, moved
from dicom_ai_node.models.apart import apart
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result

ATTACK = "adversarial step (FGSM), 1 % of the range"
_RUNS = 12  # about


def stress(installed: InstalledModel) -> list[Stressed]:
    """In a process of its own. ModelError where the model has no answer to the case as it is."""
    return apart(stress_here, installed, timeout_s=_RUNS * installed.package.timeout_s + 60)


def stress_here(installed: InstalledModel) -> list[Stressed]:
    model, data = open_model(installed), case(installed)
    before = model.predict(data)
    return [*_disturbed(model, data, before), _attacked(installed, data, before)]


def _disturbed(model: Model, data: ModelInput, before: Result) -> Iterator[Stressed]:
    for each in disturbances():
        after = _answer(model, disturbed(data, each))
        lines = moved(before, after, shift=each.shift)
        yield Stressed(disturbance=each.name, outcome=_outcome(after), moved=lines)


def _attacked(installed: InstalledModel, data: ModelInput, before: Result) -> Stressed:
    """Only where torch knows the gradient of the network."""
    package = installed.package
    if not isinstance(package, TorchPackage):
        text = f"not applicable: a model of kind {package.kind} shows no gradient"
        return Stressed(disturbance=ATTACK, outcome=text, moved=())
    from dicom_ai_node.models.answering.adversary import attacked

    after = _answer(attacked(installed, package, 0.01), data)
    return Stressed(disturbance=ATTACK, outcome=_outcome(after), moved=moved(before, after))


def _answer(model: Model, data: ModelInput) -> Result:
    """A refusal is an answer to a disturbed input, and so is a failure."""
    try:
        return model.predict(data)
    except InputError as error:
        return Result.not_suitable(str(error))
    except ModelError as error:
        return Result.failed(str(error))


def _outcome(result: Result) -> str:
    return f"{result.outcome}: {result.reason}" if result.reason else str(result.outcome)
