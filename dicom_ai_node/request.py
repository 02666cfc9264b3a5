"""What an attempt is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.form import DEFAULT, Form
from dicom_ai_node.header import read_header
from dicom_ai_node.input import Outside
from dicom_ai_node.job import ReportReference
from dicom_ai_node.language import Language
from dicom_ai_node.study import Instance
from dicom_ai_node.tracked import TrackedStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an attempt needs to know; `refusal` is set when the routes refused the study."""

    job_key: str
    model: InstalledModel
    inputs: Mapping[str, tuple[Instance, ...]]  # by the input's name, the primary first
    folder: Path  # made by the attempt; nothing outside it is written
    masks: Mapping[str, Path] = field(default_factory=dict)  # SEG objects of other jobs
    maps: tuple[str, ...] = ()  # what the route asks for beside the answer
    forms: tuple[Form, ...] = (DEFAULT,)  # all that its destinations may need
    refusal: str | None = None
    supersedes: tuple[ReportReference, ...] = ()  # reports that this one's replaces
    earlier: tuple[TrackedStudy, ...] = ()  # this model's findings in studies of this patient
    font: Path | None = None  # the site's own, for what is drawn
    language: Language = Language.ENGLISH
    outside: Outside | None = None  # the model gets nothing that names the patient

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Of the primary input, on which the results lie."""
        return next(iter(self.inputs.values()))

    @property
    def source(self) -> Instance:
        """The one whose patient and study every object has."""
        return min(self.instances, key=lambda instance: instance.sop_instance_uid)


def superseded_by(request: Request) -> frozenset[str]:
    """The SOP Instance UIDs of earlier objects of ours that a report may say it replaces."""
    return frozenset(each.sop_instance_uid for each in request.supersedes)


def known_to(request: Request) -> set[str]:
    """The SOP Instance UIDs of all that an object of this attempt may refer to."""
    known = {each.sop_instance_uid for instances in request.inputs.values() for each in instances}
    masks = (read_header(path, ["SOPInstanceUID"]) for path in request.masks.values())
    return known | {str(ds.SOPInstanceUID) for ds in masks} | superseded_by(request)
