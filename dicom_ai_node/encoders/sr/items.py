"""Content items of a report (PS3.3 C.17.3). highdicom makes each code anew, and copies every item
several times; a report of 100 findings has 7 000 of them, and hardly a hundred different codes."""

from collections.abc import Iterable, Sequence

import numpy as np
from highdicom.sr import CodedConcept, RelationshipTypeValues
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag
from pydicom.valuerep import DSfloat

CONTAINS = RelationshipTypeValues.CONTAINS.value
HAS_ACQ_CONTEXT = RelationshipTypeValues.HAS_ACQ_CONTEXT.value
HAS_CONCEPT_MOD = RelationshipTypeValues.HAS_CONCEPT_MOD.value
HAS_OBS_CONTEXT = RelationshipTypeValues.HAS_OBS_CONTEXT.value
HAS_PROPERTIES = RelationshipTypeValues.HAS_PROPERTIES.value
INFERRED_FROM = RelationshipTypeValues.INFERRED_FROM.value
SELECTED_FROM = RelationshipTypeValues.SELECTED_FROM.value
SOURCE = Code("260753009", "SCT", "Source")
IMAGE_REGION = Code("111030", "DCM", "Image Region")


def _tag(keyword: str) -> BaseTag:
    return BaseTag(tag_for_keyword(keyword) or 0)


VALUE_TYPE, NAME, RELATION = map(_tag, ("ValueType", "ConceptNameCodeSequence", "RelationshipType"))
TEXT, CODE, UID = map(_tag, ("TextValue", "ConceptCodeSequence", "UID"))
MEASURED, NUMERIC, FLOATING = map(
    _tag, ("MeasuredValueSequence", "NumericValue", "FloatingPointValue")
)
UNIT = _tag("MeasurementUnitsCodeSequence")
BELOW, CONTINUITY, TEMPLATE = map(
    _tag, ("ContentSequence", "ContinuityOfContent", "ContentTemplateSequence")
)
REFERENCED = _tag("ReferencedSOPSequence")
SOP_CLASS, SOP_INSTANCE = map(_tag, ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"))
FRAME, SEGMENT = map(_tag, ("ReferencedFrameNumber", "ReferencedSegmentNumber"))
GRAPHIC, GRAPHIC_TYPE = map(_tag, ("GraphicData", "GraphicType"))
FRAME_OF_REFERENCE = _tag("ReferencedFrameOfReferenceUID")
MAPPING_RESOURCE, TEMPLATE_ID = map(_tag, ("MappingResource", "TemplateIdentifier"))


class Items:
    """Of one report: equal codes are one and the same data set, which is written wherever it
    stands. Never for two reports, since finish() reduces their texts to different letters."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str | None, ...], Dataset] = {}
        self._coded: dict[tuple[BaseTag, tuple[str | None, ...]], DataElement] = {}
        self._plain: dict[tuple[BaseTag, str], DataElement] = {}

    def text(self, name: Code, value: str, relation: str, below: Sequence[Dataset] = ()) -> Dataset:
        return self._item("TEXT", name, relation, below, [DataElement(TEXT, "UT", value)])

    def code(
        self, name: Code, value: Code, relation: str, below: Sequence[Dataset] = ()
    ) -> Dataset:
        return self._item("CODE", name, relation, below, [self._code(CODE, value)])

    def uid(self, name: Code, value: str, relation: str) -> Dataset:
        return self._item("UIDREF", name, relation, (), [DataElement(UID, "UI", value)])

    def number(self, name: Code, value: float, unit: Code, relation: str) -> Dataset:
        """An int has no Floating Point Value."""
        elements = [
            DataElement(NUMERIC, "DS", DSfloat(value, auto_format=True)),
            self._code(UNIT, unit),
        ]
        if isinstance(value, float):
            elements.append(DataElement(FLOATING, "FD", float(value)))
        measured = DataElement(MEASURED, "SQ", DicomSequence([_dataset(elements)]))
        return self._item("NUM", name, relation, (), [measured])

    def image(
        self,
        name: Code,
        ds: Dataset,
        relation: str,
        below: Sequence[Dataset] = (),
        *,
        frame: int | None = None,
        segment: int | None = None,
    ) -> Dataset:
        """`ds` needs its SOP Class UID and SOP Instance UID only."""
        referenced = [
            DataElement(SOP_CLASS, "UI", ds.SOPClassUID),
            DataElement(SOP_INSTANCE, "UI", ds.SOPInstanceUID),
        ]
        if frame is not None:
            referenced.append(DataElement(FRAME, "IS", frame))
        if segment is not None:
            referenced.append(DataElement(SEGMENT, "US", segment))
        element = DataElement(REFERENCED, "SQ", DicomSequence([_dataset(referenced)]))
        return self._item("IMAGE", name, relation, below, [element])

    def composite(self, name: Code, ds: Dataset, relation: str) -> Dataset:
        """Of an object that is no image."""
        item = self.image(name, ds, relation)
        item[VALUE_TYPE] = self._word(VALUE_TYPE, "COMPOSITE")
        return item

    def region(self, points: NDArray[np.float64], header: Dataset, frame: int | None) -> Dataset:
        """(column, row) points on one frame of the source: one, or a closed polygon."""
        source = self.image(SOURCE, header, SELECTED_FROM, frame=frame)
        elements = [
            DataElement(GRAPHIC, "FL", points.flatten().tolist()),
            self._word(GRAPHIC_TYPE, "POINT" if len(points) == 1 else "POLYLINE"),
        ]
        return self._item("SCOORD", IMAGE_REGION, CONTAINS, [source], elements)

    def in_space(
        self, name: Code, kind: str, points: NDArray[np.float64], frame_of_reference: str
    ) -> Dataset:
        """`points` are LPS, mm; of an ellipsoid the ends of its three axes (PS3.3 C.18.9.1.2)."""
        elements = [
            DataElement(GRAPHIC, "FL", points.flatten().tolist()),
            self._word(GRAPHIC_TYPE, kind),
            DataElement(FRAME_OF_REFERENCE, "UI", frame_of_reference),
        ]
        return self._item("SCOORD3D", name, CONTAINS, (), elements)

    def container(
        self,
        name: Code,
        below: Sequence[Dataset],
        relation: str | None = CONTAINS,
        template: str | None = None,
    ) -> Dataset:
        elements = [self._word(CONTINUITY, "CONTINUOUS")]
        if template is not None:
            of = [self._word(MAPPING_RESOURCE, "DCMR"), self._word(TEMPLATE_ID, template)]
            elements.append(DataElement(TEMPLATE, "SQ", DicomSequence([_dataset(of)])))
        return self._item("CONTAINER", name, relation, below, elements)

    def _item(
        self,
        kind: str,
        name: Code,
        relation: str | None,
        below: Sequence[Dataset],
        elements: Sequence[DataElement],
    ) -> Dataset:
        more = [self._word(VALUE_TYPE, kind), self._code(NAME, name)]
        if relation is not None:
            more.append(self._word(RELATION, relation))
        if below:
            more.append(DataElement(BELOW, "SQ", DicomSequence(below)))
        return _dataset([*more, *elements])

    def _code(self, tag: BaseTag, code: Code) -> DataElement:
        key = (code.value, code.scheme_designator, code.meaning, code.scheme_version)
        element = self._coded.get((tag, key))
        if element is None:
            ds = self._codes.setdefault(key, CodedConcept.from_code(code))
            element = self._coded[tag, key] = DataElement(tag, "SQ", DicomSequence([ds]))
        return element

    def _word(self, tag: BaseTag, value: str) -> DataElement:
        element = self._plain.get((tag, value))
        if element is None:
            element = self._plain[tag, value] = DataElement(tag, "CS", value)
        return element


def _dataset(elements: Iterable[DataElement]) -> Dataset:
    return Dataset({element.tag: element for element in elements})
