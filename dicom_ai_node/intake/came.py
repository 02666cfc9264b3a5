"""What has come of one open study, read as it comes."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, RowMapping

from dicom_ai_node.database import studies
from dicom_ai_node.intake.evidence import Came
from dicom_ai_node.intake.headers import Headers
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance, Values
from dicom_ai_node.uids import is_image_class

log = get_logger(__name__)

KEYWORDS = frozenset(
    {"Modality", "AcquisitionNumber", "ImagesInAcquisition", "NumberOfFrames", "ImageType"}
)


class Arrivals:
    """The instances of one study, so far."""

    def __init__(self, spool: Spool, headers: Headers) -> None:
        self._spool = spool
        self._headers = headers
        self._last_id = 0
        self._began_at: float | None = None
        self.came: list[Came] = []

    def read(self, connection: Connection, row: RowMapping, *, most: int) -> int:
        """Take in what is new, and return how many that were."""
        found = studies.instances_after(
            connection, self._spool, row["id"], self._last_id, most=most
        )
        for of_instance, instance in found:
            self.came.append(self._came(instance))
            self._last_id = of_instance["id"]
            if row["routed_at"] is None or of_instance["received_at"] > row["routed_at"]:
                began_at = of_instance["received_at"]
                self._began_at = min(began_at, self._began_at or began_at)
        return len(found)

    def began_at(self, row: RowMapping) -> float:
        """When the first instance came since the study was settled last."""
        return float(self._began_at or row["last_received_at"])

    def uids(self) -> Iterator[str]:
        return (each.sop_instance_uid for each in self.came)

    def _came(self, instance: Instance) -> Came:
        try:
            values = self._headers.of(instance)
        except Exception:  # the tick boundary: who judges the study finds it again, and says so
            log.exception("header_not_read", study=pseudonym(instance.study_instance_uid))
            values = {}
        return Came(
            sop_instance_uid=instance.sop_instance_uid,
            series_instance_uid=instance.series_instance_uid,
            is_image=is_image_class(instance.sop_class_uid),
            modality=_first(values, "Modality"),
            acquisition=_first(values, "AcquisitionNumber"),
            images_in_acquisition=_images_in_acquisition(values),
        )


def _images_in_acquisition(values: Mapping[str, Values]) -> int | None:
    """None where it says nothing: see Came."""
    count = values.get("ImagesInAcquisition", (0,))[0]
    says = (
        isinstance(count, int)
        and count > 0
        and _first(values, "ImageType") != "DERIVED"
        and _first(values, "NumberOfFrames") in ("", "1")
    )
    return int(count) if says else None


def _first(values: Mapping[str, Values], keyword: str) -> str:
    return str(values.get(keyword, ("",))[0]).strip()
