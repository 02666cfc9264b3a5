"""What was missed, by DICOMweb: QIDO-RS says what there is, WADO-RS brings files, which come in by
the road of an import."""

import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

from dicom_ai_node.config.peers import DicomwebPeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.peers.dicomweb.query import DicomwebQuery
from dicom_ai_node.peers.dicomweb.retrieve import RetrieveLimits, retrieve
from dicom_ai_node.peers.move import Moved
from dicom_ai_node.peers.recent_study import RecentSeries, RecentStudy
from dicom_ai_node.peers.source import LIMIT
from dicom_ai_node.receive.import_check import Fate
from dicom_ai_node.receive.imported import from_service
from dicom_ai_node.receive.importing import Importer
from dicom_ai_node.receive.space import Space
from dicom_ai_node.spool import Spool

FOLDER = "fetched-"  # how those begin that a killed process left behind


class DicomwebSource:
    """A service has no AE title: its instances come in the name of the peer, in capitals."""

    def __init__(
        self, name: str, settings: DicomwebPeer, config: Config, spool: Spool, database: Database
    ) -> None:
        self._settings = settings
        self._query = DicomwebQuery(settings)
        self._spool = spool
        self._most = RetrieveLimits(
            instances=config.limits.study_instances, object_bytes=config.limits.object_bytes
        )
        self._space = Space((spool.root, database.path.parent), config.limits)
        self.ae_title = name.upper()[:16]
        said = from_service(settings.url)
        self._importer = Importer(
            config, spool, database, calling_ae_title=self.ae_title, said=said
        )

    def recent(self, *, since: datetime, until: datetime) -> Sequence[RecentStudy]:
        return self._query.recent(since, until, LIMIT)

    def series(self, study_instance_uid: str) -> Sequence[RecentSeries]:
        return self._query.series(study_instance_uid)

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Moved:
        """Files that the node does not take for good are no failure: no try would change that."""
        folder = Path(mkdtemp(prefix=FOLDER, dir=self._spool.incoming))
        try:
            paths = retrieve(
                self._settings,
                study_instance_uid,
                folder,
                series_instance_uid=series_instance_uid,
                limits=self._most,
                is_low=self._space.is_low,
            )
            outcomes = self._importer.run(iter(paths), threading.Event())
            counts = Counter(outcome.fate for outcome in outcomes)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Moved(
            completed=counts[Fate.STORED] + counts[Fate.KNOWN],
            failed=counts[Fate.REFUSED],
            warning=0,
            problem=None if paths else "the service has no such series any more",
            is_transient=False,
        )
