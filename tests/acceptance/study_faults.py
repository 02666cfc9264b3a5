"""Studies that are wrong in one way each, and what the node is to say of them."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import (
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundImageStorage,
    XRayAngiographicImageStorage,
)

from tests.dicom_factory import CORONAL, SAGITTAL, enhanced, series

Change = Callable[[list[Dataset]], object]


@dataclass(frozen=True, kw_only=True)
class Case:
    """`says` stands in the reason of its job, or of the study where there is none."""

    fault: str
    what: str
    instances: Sequence[Dataset]
    state: str = "routed"
    outcome: str | None = "not_suitable"  # of its one job; None: there is no job
    says: str = ""
    volume_ml: float | None = None
    within: float = 1e-3  # of it
    again: Sequence[Sequence[Dataset]] = field(default=())  # sent after it, each on its own

    @property
    def study(self) -> str:
        return str(self.instances[0].StudyInstanceUID)


def made(change: Change = lambda _: None, *, name: str, **what: object) -> list[Dataset]:
    """A phantom of its own, changed; its instances share nothing."""
    instances = [copy.deepcopy(ds) for ds in series(name=name, shape=(12, 16, 16), **what)]
    change(instances)
    return instances


def put(index: int | None, **values: object) -> Change:
    """Attributes of one instance, or of all."""

    def change(instances: list[Dataset]) -> None:
        for ds in instances if index is None else [instances[index]]:
            for keyword, value in values.items():
                ds.pop(keyword, None)
                if isinstance(value, bytes) and keyword != "PixelData":
                    tag = BaseTag(tag_for_keyword(keyword) or 0)
                    vr = dictionary_VR(tag)
                    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
                elif value is not None:
                    setattr(ds, keyword, value)

    return change


def sheared(instances: list[Dataset]) -> None:
    """A gantry tilt of 20 degrees."""
    for k, ds in enumerate(instances):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, round(y + k * 5 * np.tan(np.radians(20)), 6), z]


def turned(instances: list[Dataset]) -> None:
    for ds in instances[6:]:
        ds.ImageOrientationPatient = list(SAGITTAL)


def two_phases(instances: list[Dataset]) -> None:
    """Every position twice, told apart by the temporal position."""
    for ds in [copy.deepcopy(ds) for ds in instances]:
        ds.SOPInstanceUID = f"{ds.SOPInstanceUID[:-1]}.77"[:64]
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.TemporalPositionIdentifier = 2
        instances.append(ds)
    for ds in instances[:12]:
        ds.TemporalPositionIdentifier = 1


def twice_at_one_place(instances: list[Dataset]) -> None:
    instances[5].ImagePositionPatient = instances[4].ImagePositionPatient


def of_class(sop_class: str, **values: object) -> Change:
    def change(instances: list[Dataset]) -> None:
        put(None, SOPClassUID=sop_class, **values)(instances)
        for ds in instances:
            ds.file_meta.MediaStorageSOPClassUID = sop_class

    return change


def renumbered(numbers: Callable[[int], int]) -> Change:
    def change(instances: list[Dataset]) -> None:
        for k, ds in enumerate(instances):
            ds.pop("InstanceNumber")
            ds.InstanceNumber = numbers(k)

    return change


def with_a(sop_class: str, modality: str) -> Change:
    """An instance of another kind within the series."""

    def change(instances: list[Dataset]) -> None:
        other = copy.deepcopy(instances[0])
        other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = (
            f"{other.SeriesInstanceUID[:50]}.9"
        )
        of_class(sop_class, Modality=modality)([other])
        instances.append(other)

    return change


def with_localizer(instances: list[Dataset]) -> None:
    """One coronal slice that says so, before twelve axial ones."""
    scout = copy.deepcopy(instances[0])
    scout.SOPInstanceUID = scout.file_meta.MediaStorageSOPInstanceUID = (
        f"{scout.SeriesInstanceUID[:50]}.9"
    )
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = list(CORONAL)
    instances.insert(0, scout)


def another_patient(**values: object) -> Change:
    def change(instances: list[Dataset]) -> None:
        put(3, **values)(instances)

    return change


PHANTOM_ML = 2.16  # 4 × 6 × 6 voxels of 5 × 1.5 × 2 mm


def cases() -> list[Case]:
    """One study each; what may be processed says its volume."""
    studies = (
        _gaps(),
        _patients(),
        _mixtures(),
        _geometry(),
        _pixels(),
        _multiframe(),
        _oddities(),
    )
    return [case for each in studies for case in each]


def _refused(fault: str, what: str, says: str, change: Change, **more: object) -> Case:
    return Case(fault=fault, what=what, says=says, instances=made(change, name=what, **more))


def _processed(
    fault: str, what: str, change: Change, volume_ml: float = PHANTOM_ML, within: float = 1e-3
) -> Case:
    return Case(
        fault=fault,
        what=what,
        instances=made(change, name=what),
        outcome="findings",
        volume_ml=volume_ml,
        within=within,
    )


def _gaps() -> list[Case]:
    return [
        _refused("D1", "a missing slice", "missing in the middle", lambda made: made.pop(5)),
        Case(
            fault="D3",
            what="a short acquisition",
            instances=made(put(None, ImagesInAcquisition=14), name="a short acquisition"),
            state="refused",
            outcome=None,
            says="12 of 14",
        ),
        _refused("D4", "two at one position", "same position", twice_at_one_place),
    ]


def _patients() -> list[Case]:
    def review(fault: str, what: str, change: Change) -> Case:
        return Case(
            fault=fault,
            what=what,
            instances=made(change, name=what),
            state="needs_review",
            outcome=None,
            says="different patients",
        )

    later = made(put(None, PatientID="SOMEBODY-ELSE"), name="a week apart")
    for k, ds in enumerate(later):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = (
            f"{ds.SeriesInstanceUID[:50]}.8.{k}"
        )
    return [
        review("D7", "two patient IDs", put(3, PatientID="SOMEBODY-ELSE")),
        review("D7", "another name", put(3, PatientName="Somebody^Else")),
        review("D7", "no ID in one image", put(3, PatientID="")),
        Case(
            fault="D8",
            what="a week apart",
            instances=made(name="a week apart"),
            again=[later],
            state="needs_review",
            outcome=None,
            says="different patients",
        ),
    ]


def _mixtures() -> list[Case]:
    return [
        _processed("D9", "a planning image in the series", with_localizer),
        _processed("D9", "a dose report in the series", with_a(ComprehensiveSRStorage, "SR")),
        _processed("D9", "a screenshot in the series", with_a(SecondaryCaptureImageStorage, "OT")),
        _refused("D10", "mixed matrices", "sizes", put(3, Rows=8, PixelData=bytes(8 * 16 * 2))),
        _refused(
            "D10", "mixed frames of reference", "frames of ref", put(3, FrameOfReferenceUID="1.2.3")
        ),
        Case(
            fault="D24",
            what="two phases in one series",
            instances=made(two_phases, name="two phases in one series"),
            state="refused",
            outcome=None,
            says="2 parts of the series suit",
        ),
    ]


def _geometry() -> list[Case]:
    wrong = "ImageOrientationPatient"
    return [
        # between 400 and -900 the edge of the box is below 300: of eight rows, one is lost
        _processed("D13", "gantry tilt", sheared, within=0.13),
        _refused(
            "D14",
            "directions of no unit length",
            wrong,
            put(None, ImageOrientationPatient=[2, 0, 0, 0, 2, 0]),
        ),
        _refused(
            "D14",
            "directions not orthogonal",
            wrong,
            put(None, ImageOrientationPatient=[1, 0, 0, 0.8, 0.6, 0]),
        ),
        *(
            _refused(
                "D15",
                f"a spacing of {text}",
                "PixelSpacing",
                put(None, PixelSpacing=f"{text}\\{text}".encode()),
            )
            for text in ("NaN", "0", "1e400", "-1")
        ),
        _refused(
            "D16",
            "NaN in a position",
            "ImagePositionPatient",
            put(3, ImagePositionPatient=b"1\\2\\NaN "),
        ),
        _refused("D16", "decimal commas", "PixelSpacing", put(3, PixelSpacing=b"1,5\\2,0 ")),
        *(
            _refused("D17", f"no {keyword}", keyword, put(None, **{keyword: None}))
            for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        ),
        _refused("D20", "one slice", "one slice", lambda made: made.__delitem__(slice(1, None))),
        *(
            _processed("D21", f"instance numbers {what}", renumbered(numbers))
            for what, numbers in (
                ("all 1", lambda _: 1),
                ("reversed", lambda k: 100 - k),
                ("with gaps", lambda k: 7 * k),
            )
        ),
    ]


def _pixels() -> list[Case]:
    return [
        _refused("D12", "short pixel data", "PixelData", put(3, PixelData=bytes(10))),
        _refused("D18", "a slope of NaN", "", put(None, RescaleSlope=b"NaN ")),
        _refused("D18", "a slope of 0", "", put(None, RescaleSlope="0")),
        # −1000 and twice the stored value: the box of 400 is −200 there, and not bright
        _processed(
            "D18",
            "two rescales in a series",
            put(3, RescaleSlope="2", RescaleIntercept="-1000"),
            PHANTOM_ML * 3 / 4,
        ),
        _refused("D19", "Bits Stored 40", "", put(None, BitsStored=40)),
        _refused("D19", "High Bit 3", "", put(None, HighBit=3)),
        _refused("D19", "signed beside unsigned", "", put(3, PixelRepresentation=0)),
        # the box is padding: nothing is left of it
        _refused("D20", "no rows", "Rows", put(None, Rows=0)),
        _processed("D23", "CT in MONOCHROME1", put(None, PhotometricInterpretation="MONOCHROME1")),
        _refused(
            "D23",
            "CT in palette colour",
            "grey values",
            put(None, PhotometricInterpretation="PALETTE COLOR"),
        ),
        _refused(
            "D23",
            "CT in RGB",
            "grey values",
            put(
                None,
                PhotometricInterpretation="RGB",
                SamplesPerPixel=3,
                PlanarConfiguration=0,
                BitsAllocated=8,
                BitsStored=8,
                HighBit=7,
                PixelRepresentation=0,
                PixelData=bytes(16 * 16 * 3),
            ),
        ),
    ]


def _multiframe() -> list[Case]:
    def without_places(objects: list[Dataset]) -> list[Dataset]:
        for ds in objects:
            del ds.PerFrameFunctionalGroupsSequence
        return objects

    def case(what: str, objects: list[Dataset], **expected: object) -> Case:
        return Case(fault="D22", what=what, instances=objects, **expected)  # type: ignore[arg-type]

    found = {"outcome": "findings", "volume_ml": PHANTOM_ML}
    one, three, none = "a multi-frame CT", "a concatenation", "frames without places"
    return [
        case(one, enhanced(made(name=one), name=one), **found),
        case(three, enhanced(made(name=three), parts=3, name=three), **found),
        case(none, without_places(enhanced(made(name=none), name=none)), says="multi-frame"),
    ]


def _oddities() -> list[Case]:
    def refused(fault: str, what: str, says: str, change: Change) -> Case:
        return Case(
            fault=fault,
            what=what,
            instances=made(change, name=what),
            state="refused",
            outcome=None,
            says=says,
        )

    return [
        refused("D23", "ultrasound", "no route", of_class(UltrasoundImageStorage, Modality="US")),
        refused("D25", "another modality", "no route", put(None, Modality="PT")),
        _refused(
            "D25", "another body part", "The body part is KNEE", put(None, BodyPartExamined="KNEE")
        ),
        refused("D26", "XA that is called CT", "no route", of_class(XRayAngiographicImageStorage)),
        _processed(
            "D28",
            "line breaks and terminal commands",
            put(
                None,
                SeriesDescription=b"\x1b[2J\r\nlevel='error' event='faked'",
                StudyDescription=b"a\nb\x07 ",
            ),
        ),
        *(
            _processed(
                "D29",
                f"dates: {what}",
                put(
                    None,
                    StudyDate=date,
                    SeriesDate=date,
                    AcquisitionDate=date,
                    StudyTime=None,
                    SeriesTime=None,
                ),
            )
            for what, date in (("the future", "20991231"), ("1900", "19000101"), ("none", None))
        ),
        refused(
            "D30",
            "a segmentation of another program",
            "no route",
            of_class(SegmentationStorage, Modality="SEG"),
        ),
    ]
