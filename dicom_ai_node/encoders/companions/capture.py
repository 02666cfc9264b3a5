"""A picture in colour as a Secondary Capture (PS3.3 A.8.1), which every viewer of images shows.

By pydicom alone: highdicom's class wants to know how the patient lies, and a page does not lie.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.finish import finish, set_side
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.key_frames import Where

SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")


def capture(
    picture: Image.Image,
    basis: Basis,
    identity: Identity,
    what: str,
    *,
    sources: Iterable[Where],
    number: int = 1,
    sides: Sequence[str] = (),
) -> Dataset:
    """`number` is that of the picture within its series; `sides` is its Patient Orientation.

    It names no frame of reference and no place: it is another picture than its source's, with
    text around it and pixels of another size.
    """
    ds = Dataset()
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = identity.uid("instance" if number == 1 else f"instance {number}")
    ds.SeriesInstanceUID = identity.attributes["series_instance_uid"]
    ds.SeriesNumber = identity.attributes["series_number"]
    ds.InstanceNumber = number
    ds.Modality = "OT"
    ds.ConversionType = "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    ds.PatientOrientation = list(sides) or None
    ds.BurnedInAnnotation = "YES"
    ds.LossyImageCompression = "00"
    ds.DerivationDescription = basis.run.description(basis.run.say("result, drawn"))
    ds.SourceImageSequence = source_items(basis, sources)
    _set_pixels(ds, picture)
    finish(ds, basis.header, basis.run, basis.run.description(what))
    set_side(ds, basis.header)
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.ContentDate, ds.ContentTime
    return ds


def source_items(basis: Basis, sources: Iterable[Where]) -> list[Dataset]:
    """Source Image Sequence (PS3.3 C.7.6.1.1.4), each image or frame once."""
    by_uid = {str(source.SOPInstanceUID): source for source in basis.sources}
    items = []
    for uid, frame_number in dict.fromkeys(sources):
        item = Dataset()
        item.ReferencedSOPClassUID = by_uid[uid].SOPClassUID
        item.ReferencedSOPInstanceUID = uid
        if frame_number is not None:
            item.ReferencedFrameNumber = frame_number
        purpose = Dataset()
        purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = SOURCE_IMAGE[:3]
        item.PurposeOfReferenceCodeSequence = [purpose]
        items.append(item)
    return items


def _set_pixels(ds: Dataset, picture: Image.Image) -> None:
    pixels = np.asarray(picture.convert("RGB"))
    ds.SamplesPerPixel = 3
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    content = pixels.tobytes()
    ds.add_new("PixelData", "OB", content + b"\0" * (len(content) % 2))
