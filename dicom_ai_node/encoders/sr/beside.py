"""References of a report to the other objects of its run, which its findings do not refer to."""

from collections.abc import Sequence

from pydicom import Dataset

from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.items import CONTAINS, Items

NO_IMAGES = ("DOC", "KO", "PR", "RTSTRUCT", "SR")  # modalities


def beside_items(items: Items, beside: Sequence[Dataset]) -> list[Dataset]:
    """TID 1500 and 1501 are extensible: references stand where the status is, which every report
    has, and not in a group of their own, of which OHIF would want coordinates."""
    return [_item(items, ds) for ds in beside]


def _item(items: Items, ds: Dataset) -> Dataset:
    if ds.Modality in NO_IMAGES:
        return items.composite(names.SUPPORTING_INFORMATION, ds, CONTAINS)
    is_saliency = ds.get("ContentLabel") == "AI_SALIENCY"  # a map's
    name = names.SALIENCY if is_saliency else names.SUPPORTING_INFORMATION
    return items.image(name, ds, CONTAINS)
