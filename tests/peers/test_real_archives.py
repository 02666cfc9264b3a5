"""What we make, at archives that others have written: every kind of object, and the ladder."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pynetdicom.sop_class import LabelMapSegmentationStorage  # type: ignore[attr-defined]

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.form import COMPANIONS, Form, ReportForm, Segmentation
from dicom_ai_node.job import DeliveryState, JobState, OutboxObject
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.peers.peer import Offer
from dicom_ai_node.result import MapKind, ResultMap
from dicom_ai_node.spool import Spool
from tests import dicom_factory
from tests.database.made import again, claimed, enqueued
from tests.encoders import made
from tests.peers.real import RealArchive, real_orthanc, storescp

KEY = "ab" * 32
EVERY_FORM = [
    *(Form(segmentation=each, companions=COMPANIONS) for each in Segmentation),
    *(Form(report=each, companions=COMPANIONS) for each in ReportForm),
]
LABELMAP_FIRST = ResultForms(
    segmentation=("labelmap", "binary"), also=tuple(str(each) for each in COMPANIONS)
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(storescp, marks=pytest.mark.validators),
        pytest.param(real_orthanc, marks=pytest.mark.orthanc),
    ],
    ids=["storescp", "Orthanc"],
)
def archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealArchive]:
    with request.param(tmp_path_factory.mktemp("archive")) as running:
        yield running


@pytest.fixture(scope="module")
def instances() -> list[Dataset]:
    return dicom_factory.series(name="archived", shape=(4, 24, 20))


@pytest.fixture(scope="module")
def every_object(instances: list[Dataset]) -> list[EncodedObject]:
    return encoded(instances, EVERY_FORM, "every kind")


@pytest.fixture(scope="module")
def ladder(instances: list[Dataset]) -> list[EncodedObject]:
    return encoded(instances, LABELMAP_FIRST.ladder, "ladder")


def encoded(instances: Sequence[Dataset], forms: Sequence[Form], key: str) -> list[EncodedObject]:
    """With maps, and whatever goes along."""
    volume = hd.get_volume_from_series(list(instances))
    values = np.linspace(0, 1, volume.array.size, dtype=np.float32).reshape(volume.spatial_shape)
    saliency = ResultMap(kind=MapKind.SALIENCY, label="Saliency", volume=volume.with_array(values))
    pixels = {str(ds.SOPInstanceUID): ds.pixel_array for ds in instances}

    def picture(uid: str, _frame: int | None) -> NDArray[np.uint8]:
        return np.uint8(np.clip(pixels[uid] // 8 + 128, 0, 255))

    return encode(
        replace(made.findings(instances), maps=(saliency,)),
        made.without_pixels(instances),
        made.run(ids=DerivedIds(job_key=key)),
        ("seg", "sr"),
        forms=forms,
        picture=picture,
    )


def is_label_map(ds: Dataset) -> bool:
    return bool(ds.SOPClassUID == LabelMapSegmentationStorage)


@pytest.mark.result_rule(26)
def test_every_kind_of_object_is_taken_but_label_maps(
    archive: RealArchive, every_object: list[EncodedObject], tmp_path: Path
) -> None:
    paths = list(made.written(every_object, tmp_path).values())
    peer = DimseStore(archive.settings, calling_ae_title="AI_NODE")
    (outcomes,) = peer.store([Offer(paths=paths)])
    for each, outcome in zip(every_object, outcomes, strict=True):
        is_refused = is_label_map(each.dataset)
        expected = DeliveryState.REFUSED if is_refused else DeliveryState.STORED
        assert (outcome.state, outcome.form_refused) == (expected, is_refused), each.kind
    taken = {str(ds.SOPInstanceUID) for _, ds, _ in every_object if not is_label_map(ds)}
    assert archive.has() >= taken


@pytest.mark.result_rule(26)
def test_where_label_maps_are_refused_the_binary_form_is_there_and_nothing_of_theirs(
    archive: RealArchive,
    ladder: list[EncodedObject],
    config: Config,
    spool: Spool,
    database: Database,
) -> None:
    published(ladder, spool, database)
    queue = PeerQueue(
        name="pacs",
        peer=open_peer(archive.settings, config.node),
        spool=spool,
        database=database,
        settings=config.delivery,
        jitter=random.Random(1),  # noqa: S311 - jitter
    )
    while queue.deliver_due(now=database.now()):
        pass
    labelmap, binary = (form.label for form in LABELMAP_FIRST.ladder)
    of_labelmap = {str(ds.SOPInstanceUID) for _, ds, forms in ladder if forms == (labelmap,)}
    of_binary = {str(ds.SOPInstanceUID) for _, ds, forms in ladder if binary in forms}
    has = archive.has()
    assert len(of_labelmap) == 2
    assert has >= of_binary
    assert not has & of_labelmap
    with database.read() as connection:
        (job,) = jobs.listing(connection)
        rows = deliveries.of_job(connection, job.id)
    assert job.state is JobState.DONE
    passed = {row["sop_instance_uid"] for row in rows if row["state"] == "passed"}
    assert passed == of_labelmap


def published(objects: Sequence[EncodedObject], spool: Spool, database: Database) -> None:
    paths = made.written(objects, spool.outbox_path(KEY)).values()
    entries = [
        OutboxObject(
            kind=kind,
            sop_class_uid=str(ds.SOPClassUID),
            sop_instance_uid=str(ds.SOPInstanceUID),
            series_instance_uid=str(ds.SeriesInstanceUID),
            file=path.name,
            forms=forms,
        )
        for (kind, ds, forms), path in zip(objects, paths, strict=True)
    ]
    now = database.now()
    with database.write() as connection:
        job = enqueued(connection, KEY, now=now, send_to=("pacs",))
        deliveries.publish(
            connection,
            claimed(connection, now=now),
            entries,
            outcome="findings",
            reason=None,
            timings={},
            now=now,
            forms={"pacs": LABELMAP_FIRST},
        )
        assert again(connection, job).state is JobState.READY
