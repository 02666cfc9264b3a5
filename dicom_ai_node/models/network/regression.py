"""An output that is numbers: quantities with their units."""

from torch import Tensor

from dicom_ai_node.config.outputs import QuantityEntry, RegressionOutput
from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.models.network.classification import wavers
from dicom_ai_node.models.network.part import Part
from dicom_ai_node.models.network.seen import Seen
from dicom_ai_node.models.network.uncertainty import spread_of, spread_of_quantity
from dicom_ai_node.result import Answer, Assessment, Finding, Measurement


def channels(seen: Seen, output: RegressionOutput) -> Tensor:
    """(answers, channels, slices), as the network gives them."""
    values = seen.numbers(output.output)
    due = max(entry.channel for entry in output.quantities) + 1
    if values.shape[1] < due:
        raise ModelError(f"{seen.name} gave {values.shape[1]} channels where {due} were due.")
    return values


def regression(values: Tensor, output: RegressionOutput, name: str, image: str | None) -> Part:
    """`values` are (answers, channels); `image` where they are of one image alone.

    InputError for a quantity that cannot be: the network misunderstood its input, so that nothing
    else that it says of this input is believed either.
    """
    spreads = spread_of(values)
    findings: list[Finding] = []
    assessments: list[Assessment] = []
    for entry in output.quantities:
        value = entry.slope * float(values[0, entry.channel]) + entry.intercept
        _check_plausible(entry, value, name)
        spread = None if spreads is None else abs(entry.slope) * float(spreads[entry.channel])
        if wavers(spread, output.abstain_above):
            assessments.append(
                Assessment(
                    code=entry.finding,
                    answer=Answer.UNDECIDED,
                    site=entry.site,
                    laterality=entry.laterality,
                    image=image,
                )
            )
            continue
        findings.append(_finding(entry, value, spread, image))
    return Part(findings=tuple(findings), assessments=tuple(assessments))


def _check_plausible(entry: QuantityEntry, value: float, name: str) -> None:
    if entry.between and not entry.between[0] <= value <= entry.between[1]:
        low, high = entry.between
        unit = entry.unit.value
        raise InputError(
            f"{entry.label}: the measured {entry.name.meaning.lower()} is {value:.4g} {unit}; "
            f"{name} believes {low:g}–{high:g} {unit}."
        )


def _finding(
    entry: QuantityEntry, value: float, spread: float | None, image: str | None
) -> Finding:
    measurement = Measurement(name=entry.name, value=value, unit=entry.unit)
    doubt = () if spread is None else (spread_of_quantity(spread, entry.unit),)
    return Finding(
        tracking_identifier=entry.label,
        code=entry.finding,
        site=entry.site,
        laterality=entry.laterality,
        image=image,
        measurements=(measurement, *doubt),
    )
