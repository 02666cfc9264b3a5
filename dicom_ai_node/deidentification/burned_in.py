"""Text in the pixels is not taken out: what may have any is not given to anybody outside."""

from pydicom import Dataset
from pydicom.uid import UID

from dicom_ai_node.errors import InputError

_DRAWN_BY_NOBODY = frozenset({"CT", "MR", "PT", "NM"})


def require_clean(ds: Dataset) -> None:
    """Raises InputError; believes what the header says, or else the modality."""
    said = str(ds.get("BurnedInAnnotation") or "").upper()
    is_captured = "ConversionType" in ds or "Secondary" in UID(str(ds.SOPClassUID)).name
    image_type = {str(each).upper() for each in ds.get("ImageType") or ()}
    is_original = not image_type & {"SECONDARY", "SCREEN SAVE", "DERIVED"}
    is_known = str(ds.get("Modality")) in _DRAWN_BY_NOBODY and is_original and not is_captured
    if said == "NO" or (not said and is_known):
        return
    raise InputError(
        "These images may have text in their pixels (BurnedInAnnotation is not NO), and this model "
        "runs outside: they are not given to it."
    )
