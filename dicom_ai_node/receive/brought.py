"""The studies that one association has brought something for."""

from typing import Protocol


class StudyLog(Protocol):
    """Who keeps when the last association of a study has ended: the ledger."""

    def begin_study(self, study_instance_uid: str) -> None: ...
    def end_studies(self, study_instance_uids: set[str]) -> None: ...


class Brought:
    """Told of each new instance; `end()` may be repeated."""

    def __init__(self, log: StudyLog) -> None:
        self._log = log
        self._studies: set[str] = set()

    def add(self, study_instance_uid: str) -> None:
        if study_instance_uid not in self._studies:
            self._studies.add(study_instance_uid)
            self._log.begin_study(study_instance_uid)

    def end(self) -> None:
        """Before a release is answered, or at an abort: is it complete, can now be asked."""
        studies, self._studies = self._studies, set()
        if studies:
            self._log.end_studies(studies)
