"""What a plain MONAI bundle says, in the words of model.yaml: steps, inference, the network."""

from collections.abc import Mapping, Sequence
from typing import Any

from dicom_ai_node.config.kinds import MonaiBundlePackage
from dicom_ai_node.config.network import Inference, NetworkEntry, SlidingWindow, Whole
from dicom_ai_node.config.steps import POSTPROCESS, PREPROCESS, RESTORE, Step
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.bundle.config import TARGET, BundleConfig
from dicom_ai_node.models.bundle.grammar import NotPlain

# reading, writing, moving to a device: the node has done that, or does it afterwards
_OURS = (
    *("LoadImage", "EnsureChannelFirst", "AddChannel", "EnsureType", "ToTensor", "ToDevice"),
    *("SaveImage", "SelectItems", "DeleteItems", "Identity"),
)
_INVERT = "Invert"
# looks at all channels together, unless it is told not to
_JOINT = ("NormalizeIntensity", "ScaleIntensity", "ScaleIntensityRangePercentiles")
# of dictionary transforms alone
_OF_KEYS = (
    "name",
    "keys",
    "allow_missing_keys",
    "meta_keys",
    "meta_key_postfix",
    "ensure_same_shape",
)
_PER_KEY = ("mode", "padding_mode", "align_corners", "dtype")
_PER_KEY_OF_ANSWERS = ("sigmoid", "softmax", "argmax", "to_onehot", "threshold", "rounding")
_WINDOW = ("roi_size", "sw_batch_size", "overlap", "mode", "padding_mode")
_NOT_OF_RESULTS = ("device", "sw_device", "progress", "cache_roi_weight_map", "cpu_thresh")


def network_of(config: BundleConfig) -> NetworkEntry:
    """A class of MONAI; NotPlain for any other."""
    found = config.resolved(config.section("network_def", "network", "net"))
    if not isinstance(found, dict) or TARGET not in found:
        raise NotPlain("its network_def is not the description of a network")
    name = _name(found, "monai.networks.nets", "network")
    arguments = {key: value for key, value in found.items() if not key.startswith("_")}
    if any(isinstance(value, dict) and TARGET in value for value in arguments.values()):
        raise NotPlain(f"the network {name} is given objects")
    return NetworkEntry(name=name, arguments=arguments)


def preprocessing_of(config: BundleConfig, inputs: int) -> tuple[Step, ...]:
    """Steps on each input by itself, as they would be on all of them together."""
    steps = []
    for name, arguments in _transforms(config, "preprocessing"):
        if name in _OURS:
            continue
        step = _step(name, config.resolved(arguments), PREPROCESS)
        if inputs > 1 and name in _JOINT and not step.arguments.get("channel_wise"):
            raise NotPlain(f"{name} looks at all {inputs} inputs together")
        steps.append(step)
    return tuple(steps)


def oriented(steps: tuple[Step, ...], package: MonaiBundlePackage) -> tuple[Step, ...]:
    """A bundle that leaves the axes as they lie means those of the files that it was trained on,
    which DICOM images do not have."""
    if package.input == "images" or any(step.name == "Orientation" for step in steps):
        return steps
    if package.orientation is None:
        raise ModelError(
            f"the bundle {package.name} takes its images' axes as they lie in their files: say in "
            "model.yaml how they lay in training, for example orientation: RAS"
        )
    return _made("Orientation", axcodes=package.orientation), *steps


def postprocessing_of(config: BundleConfig) -> tuple[Step, ...]:
    steps = []
    for name, arguments in _transforms(config, "postprocessing"):
        if name == _INVERT:
            nearest = config.resolved(arguments.get("nearest_interp", True))
            steps.append(_made(RESTORE, mode="nearest" if nearest else "bilinear"))
        elif name not in _OURS:
            steps.append(_step(name, config.resolved(arguments), POSTPROCESS))
    return tuple(steps)


def inference_of(config: BundleConfig) -> tuple[Inference, tuple[Step, ...]]:
    """How the network is run, and what must be done before it, so that no window is too large."""
    section = config.section("inferer")
    if section is None:
        return Whole(), ()
    name = _name(section, "monai.inferers", "inferer")
    if name == "SimpleInferer":
        return Whole(), ()
    if name != "SlidingWindowInferer":
        raise NotPlain(f"its inferer is {name}")
    others = section.keys() - {TARGET, *_WINDOW, *_NOT_OF_RESULTS}
    said = {key: config.resolved(section[key]) for key in _WINDOW if key in section}
    if others:
        raise NotPlain(f"its inferer has {', '.join(sorted(others))}")
    try:
        window = SlidingWindow(
            kind="sliding_window",
            roi_size=said["roi_size"],
            overlap=said.get("overlap", 0.25),
            batch=said.get("sw_batch_size", 1),
            blend=said.get("mode", "constant"),
        )
    except (KeyError, ValueError):
        raise NotPlain("the window of its inferer is not a size in voxels") from None
    padding = said.get("padding_mode", "constant")
    if padding == "constant":
        return window, ()
    return window, (_made("SpatialPad", spatial_size=list(window.roi_size), mode=padding),)


def _transforms(config: BundleConfig, section: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Names without their `d`, with the arguments as they are written: what is left out need not
    be understood."""
    found = config.section(section)
    return [] if found is None else _members(config, found, section)


def _members(config: BundleConfig, found: Any, section: str) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(found, list):
        followed = (config.follow(each) for each in found)
        return [pair for each in followed for pair in _members(config, each, section)]
    if not isinstance(found, dict) or TARGET not in found:
        raise NotPlain(f"its {section} is not a list of transforms")
    arguments = {key: value for key, value in found.items() if not key.startswith("_")}
    if config.resolved(found.get("_disabled_", False)) in (True, "true", "True"):
        return []
    name = _name(found, "monai.transforms", "transform")
    if name == "Compose":
        if arguments.keys() - {"transforms"}:
            raise NotPlain(f"its {section} is composed with {', '.join(sorted(arguments))}")
        return _members(config, config.follow(arguments.get("transforms", [])), section)
    return [(_without_d(name), arguments)]


def _name(found: Mapping[str, Any], package: str, what: str) -> str:
    """The class that `_target_` names: by itself, as MONAI finds it, or below this package."""
    target = found.get(TARGET)
    if {"_requires_", "_mode_"} & found.keys() or not isinstance(target, str):
        raise NotPlain(f"its {what} is made in a way of its own")
    module, _, name = target.rpartition(".")
    if module and module != package and not module.startswith(f"{package}."):
        raise NotPlain(f"its {what} is {target[:80]}, which is not of {package}")
    return name


def _without_d(name: str) -> str:
    """`Spacingd`, `SpacingD` and `SpacingDict` work on dictionaries as `Spacing` does on images."""
    known = {*PREPROCESS, *POSTPROCESS, *_OURS, _INVERT}
    if name in known:
        return name
    return next((name.removesuffix(end) for end in ("Dict", "D", "d") if name.endswith(end)), name)


def _step(name: str, arguments: Mapping[str, Any], allowed: Sequence[str]) -> Step:
    if name not in allowed:
        raise NotPlain(f"it uses the transform {name}")
    keys = arguments.get("keys", "image")
    names = [keys] if isinstance(keys, str) else keys
    if len(names) != 1:
        raise NotPlain(f"{name} works on {', '.join(map(str, names))} together")
    per_key = {*_PER_KEY, *(_PER_KEY_OF_ANSWERS if allowed is POSTPROCESS else ())}
    kept = {}
    for key, value in arguments.items():
        if key in _OF_KEYS or (key == "source_key" and value == names[0]):
            continue
        if isinstance(value, dict) and TARGET in value:
            raise NotPlain(f"{name} is given objects")
        single = key in per_key and isinstance(value, list) and len(value) == 1
        kept[key] = value[0] if single else value
    return _made(name, **kept)


def _made(name: str, **arguments: Any) -> Step:
    return Step.model_validate({**arguments, "name": name})
