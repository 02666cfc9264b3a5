"""A MONAI bundle as its authors publish it: read as data where it is plain, and run as code only
where somebody has trusted it."""

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import MonaiBundlePackage
from dicom_ai_node.config.outputs import AnyOutput, SegmentationOutput
from dicom_ai_node.config.steps import Step
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.backends.choose import on_backend
from dicom_ai_node.models.bundle.config import BundleConfig, read_config
from dicom_ai_node.models.bundle.grammar import NotPlain
from dicom_ai_node.models.bundle.steps import (
    inference_of,
    network_of,
    oriented,
    postprocessing_of,
    preprocessing_of,
)
from dicom_ai_node.models.formats.torch_device import choose_device
from dicom_ai_node.models.formats.torch_network import build_network, load_state
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.protocol import Model


def open_monai_bundle(installed: InstalledModel, package: MonaiBundlePackage) -> Model:
    """What model.yaml says itself is not asked of the bundle.

    ModelError, with what it is, where the bundle needs code of its own and nobody has trusted it.
    """
    config = read_config(installed, package)
    try:
        described = plain_package(config, package)
    except NotPlain as error:
        if not installed.trusted:
            raise ModelError(
                f"{installed.label} is a bundle that runs code of its own ({error}): read it, then "
                f"name its hash in the configuration, node.trusted_models: [{installed.sha256}]"
            ) from None
        from dicom_ai_node.models.bundle.trusted import open_trusted_bundle

        return open_trusted_bundle(installed, package, config)
    except RecursionError:
        raise ModelError(f"the configuration of {installed.label} is nested too deeply") from None
    return _opened(installed, described)


def plain_package(config: BundleConfig, package: MonaiBundlePackage) -> MonaiBundlePackage:
    """The package with everything that the bundle says of it; raises NotPlain."""
    written = package.model_fields_set
    network = package.network or network_of(config)
    steps, inference = package.preprocess, package.inference
    before: tuple[Step, ...] = ()
    if "inference" not in written:
        inference, before = inference_of(config)
    if "preprocess" not in written:
        steps = oriented(preprocessing_of(config, len(package.inputs)), package)
    return package.model_copy(
        update={
            "network": network,
            "preprocess": (*steps, *before),
            "inference": inference,
            "outputs": tuple(_output(config, each) for each in package.outputs),
        }
    )


def _output(config: BundleConfig, output: AnyOutput) -> AnyOutput:
    """The bundle's steps after a segmentation; other outputs say in model.yaml what they are."""
    if not isinstance(output, SegmentationOutput) or "postprocess" in output.model_fields_set:
        return output
    return output.model_copy(update={"postprocess": postprocessing_of(config)})


def _opened(installed: InstalledModel, package: MonaiBundlePackage) -> Model:
    assert package.network is not None  # noqa: S101 - plain_package gave it
    network = build_network(installed, package.network)
    weights = read_pinned(installed, f"{package.bundle}/{package.weights}")
    load_state(network, weights, package.name)
    device = choose_device(package.device)
    network.eval().to(device)
    return NetworkModel(package, on_backend(network, package, device), network)
