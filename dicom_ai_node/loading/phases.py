"""What tells images of one place apart: echoes, b-values, time, phases of the heart."""

from collections.abc import Callable, Sequence

from dicom_ai_node.loading.frame_header import FrameHeader

Told = Callable[[FrameHeader], tuple[object, ...]]


def _numbers(keyword: str) -> Told:
    return lambda frame: tuple(float(f"{value:.3g}") for value in frame.numbers(keyword))


# a stack never has several of these; the others only matter where two images share a place
_ALWAYS: dict[str, Told] = {
    "echo times": _numbers("EchoTime"),
    "echo numbers": _numbers("EchoNumbers"),
    "b-values": _numbers("DiffusionBValue"),
}
_ELSE: dict[str, Told] = {
    "temporal positions": _numbers("TemporalPositionIdentifier"),
    "cardiac phases": _numbers("NominalPercentageOfCardiacPhase"),
    "stacks": lambda frame: frame.words("StackID"),
    "kinds of image": lambda frame: frame.frame_type,
    "inversion times": _numbers("InversionTime"),
    "trigger times": _numbers("TriggerTime"),
    "acquisitions": _numbers("AcquisitionNumber"),
}


def named_phases(frames: Sequence[FrameHeader], *, always: bool = False) -> str:
    """Such as "2 echo times and 2 echo numbers"; "" where nothing tells them apart."""
    asked = _ALWAYS if always else _ALWAYS | _ELSE
    counts = {name: len({told(frame) for frame in frames}) for name, told in asked.items()}
    named = [f"{count} {name}" for name, count in counts.items() if count > 1]
    return " and ".join(named)
