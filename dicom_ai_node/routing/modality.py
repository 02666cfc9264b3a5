"""Which objects are images for a model, and what their SOP class says about their modality."""

from collections.abc import Mapping

from pydicom.uid import UID

from dicom_ai_node.study import Series

_NOT_ACQUIRED = ("Secondary Capture", "Video", "RT ")  # for a model, by their SOP class's name

# Modality of a SOP class by what its name begins with; others may be of any
_MODALITIES: Mapping[str, frozenset[str]] = {
    "CT Image": frozenset({"CT"}),
    "Enhanced CT Image": frozenset({"CT"}),
    "Legacy Converted Enhanced CT Image": frozenset({"CT"}),
    "MR Image": frozenset({"MR"}),
    "Enhanced MR ": frozenset({"MR"}),
    "Legacy Converted Enhanced MR Image": frozenset({"MR"}),
    "Positron Emission Tomography Image": frozenset({"PT"}),
    "Enhanced PET Image": frozenset({"PT"}),
    "Legacy Converted Enhanced PET Image": frozenset({"PT"}),
    "Nuclear Medicine Image": frozenset({"NM"}),
    "Ultrasound ": frozenset({"US", "IVUS", "BDUS"}),
    "X-Ray Angiographic ": frozenset({"XA"}),
    "Enhanced XA Image": frozenset({"XA"}),
    "X-Ray Radiofluoroscopic Image": frozenset({"RF"}),
    "Enhanced XRF Image": frozenset({"RF"}),
    "Digital Mammography X-Ray Image": frozenset({"MG"}),
    "Breast Tomosynthesis Image": frozenset({"MG"}),
    "Computed Radiography Image": frozenset({"CR"}),
    "Digital X-Ray Image": frozenset({"DX", "PX"}),
}


def not_an_image(series: Series) -> str | None:
    """Results, ours or another vendor's, never start a job (D30); nor does a false Modality (D26).

    A whole sentence without its full stop, or None.
    """
    said = {value.strip() for value in series.modality.split(", ")} - {"unknown"}
    for sop_class_uid in sorted({instance.sop_class_uid for instance in series.instances}):
        name = UID(sop_class_uid).name
        if "Image Storage" not in name or any(word in name for word in _NOT_ACQUIRED):
            return f"{name} is not an acquired image"
        true = next((of for begin, of in _MODALITIES.items() if name.startswith(begin)), said)
        if not said <= true:
            return f"{name} cannot be of the modality that is said: {' and '.join(sorted(said))}"
    return None
