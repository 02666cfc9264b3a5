"""What was missed, from a DICOMweb service: found, fetched and in the spool, as it was there."""

import json
from io import BytesIO
from pathlib import Path

from pydicom import Dataset

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import missed
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive.web_source import DicomwebSource
from dicom_ai_node.spool import Spool
from tests.intake.missed_site import Site, recent, report_of
from tests.peers.archive import Archive
from tests.peers.dicomweb.server import DicomwebServer, Reply, Request
from tests.peers.dicomweb.test_retrieve import multipart, reply


def part10(ds: Dataset) -> bytes:
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class Shelf:
    """The studies of a service; `broken` is a series that it cannot give."""

    def __init__(self, *instances: Dataset) -> None:
        self.instances = instances
        self.broken = ""
        self.fetched: list[str] = []

    def __call__(self, request: Request) -> Reply:
        path = request.path.partition("?")[0].split("/")[2:]  # behind /dicom-web
        if path == ["studies"]:
            return self._told("StudyInstanceUID", self.instances)
        of_study = [ds for ds in self.instances if ds.StudyInstanceUID == path[1]]
        if len(path) == 3:
            return self._told("SeriesInstanceUID", of_study)
        if path[3] == self.broken:
            return Reply(status=500)
        self.fetched.append(path[3])
        return reply(multipart(*(part10(e) for e in of_study if e.SeriesInstanceUID == path[3])))

    def _told(self, level: str, instances: object) -> Reply:
        groups: dict[str, list[Dataset]] = {}
        for ds in instances:  # type: ignore[attr-defined]
            groups.setdefault(ds[level].value, []).append(ds)
        told = []
        for group in groups.values():
            ds = Dataset()
            for keyword in (level, "StudyDate", "StudyTime", "Modality"):
                ds[keyword] = group[0][keyword]
            ds.ModalitiesInStudy = sorted({each.Modality for each in group})
            ds.NumberOfStudyRelatedInstances = ds.NumberOfSeriesRelatedInstances = len(group)
            told.append(ds.to_json_dict())
        return Reply(body=json.dumps(told).encode())


def test_a_study_that_never_came_is_fetched_and_analysed_once(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    """A series that the service cannot give keeps nothing else from coming."""
    ct, bad = recent("ct", at="080000"), recent("bad", at="090000")
    shelf = Shelf(*ct, report_of(ct), *bad, *recent("mr", modality="MR"))
    shelf.broken = bad[0].SeriesInstanceUID
    with DicomwebServer(answer=shelf).running() as server:
        source = DicomwebSource("vna", server.settings(), config, spool, database)
        site = Site(
            archive=Archive(),
            config=config,
            spool=spool,
            database=database,
            models=tmp_path,
            source=source,
        )
        site.catch_up_for(200)
        assert shelf.fetched == [ct[0].SeriesInstanceUID]
        assert (site.here(ct), site.here(bad)) == (2, 0)
        assert site.asked(bad).reason is not None
        row = site.row(ct)
        assert row is not None
        assert row["calling_ae_title"] == "VNA"
        jobs = site.settle()
        assert len(jobs) == 1

        shelf.broken = ""
        site.catch_up_for(3 * 3600)
        assert sorted(shelf.fetched) == sorted([ct[0].SeriesInstanceUID, bad[0].SeriesInstanceUID])
        assert len(site.settle()) == 2
    with database.read() as connection:
        assert missed.counts(connection) == {"pacs": {"moved": 2}}
    assert list(spool.incoming.glob("fetched-*")) == []


def test_a_disk_that_fills_up_is_left_to_what_comes_by_itself(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    ct = recent("ct")
    full = config.model_copy(
        update={"limits": config.limits.model_copy(update={"space_soft_mb": 10**12})}
    )
    with DicomwebServer(answer=Shelf(*ct)).running() as server:
        site = Site(
            archive=Archive(),
            config=config,
            spool=spool,
            database=database,
            models=tmp_path,
            source=DicomwebSource("vna", server.settings(), full, spool, database),
        )
        site.catch_up_for(80)
        assert (site.here(ct), site.asked(ct).state) == (0, "pending")
        assert site.asked(ct).reason == "there is no room for it now"
        assert list(spool.incoming.glob("fetched-*")) == []

        site.source = DicomwebSource("vna", server.settings(), config, spool, database)
        site.restart()
        site.catch_up_for(200)
        assert site.here(ct) == 2
