"""A real Orthanc that only takes results, asked by QIDO-RS what it has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.kills.counting_pacs import Stored
from tests.acceptance.orthanc import Orthanc

_STUDY, _SERIES, _INSTANCE, _MODALITY, _PATIENT = (
    *("0020000D", "0020000E", "00080018", "00080060", "00100020"),
)


class OrthancPacs:
    """AE title ORTHANC; what it has stays when it is stopped."""

    ae_title = "ORTHANC"

    def __init__(self, home: Path, *, node_port: int) -> None:
        self._orthanc = Orthanc(home, node_port=node_port, routing=False)
        self.port = self._orthanc.dicom_port
        self.copies: Mapping[str, set[str]] = {}  # it keeps the first, and says nothing of others

    def start(self) -> None:
        self._orthanc.start()

    def stop(self) -> None:
        self._orthanc.stop()

    def of(self, studies: Sequence[str]) -> Mapping[str, list[Stored]]:
        return {uid: self._of(uid) for uid in studies}

    def studies(self) -> set[str]:
        return {_value(each, _STUDY) for each in self._orthanc.json("/dicom-web/studies")}

    def _of(self, study: str) -> list[Stored]:
        path = f"/dicom-web/studies/{study}/instances?includefield={_PATIENT},{_MODALITY}"
        return [
            Stored(
                uid=_value(each, _INSTANCE),
                study=study,
                series=_value(each, _SERIES),
                patient_id=_value(each, _PATIENT),
                modality=_value(each, _MODALITY),
            )
            for each in self._orthanc.json(path)
        ]


def _value(found: dict[str, Any], tag: str) -> str:
    return str(found[tag]["Value"][0])
