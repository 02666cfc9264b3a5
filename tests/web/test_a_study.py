"""A study that took the whole road, in this process, as the page shows it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import IS_CT, arrive, bright, configuration
from tests.web.site import Served


@pytest.fixture
def config(tmp_path: Path) -> Config:
    peers = {
        "archive": {
            "kind": "folder",
            "path": str(tmp_path / "out"),
            "results": {"also": ["summary", "key_images"]},
        }
    }
    route = {"model": "bright", "send_to": ["archive"], "require": [IS_CT]}
    other = {**route, "name": "heads", "require": [{**IS_CT, "value": "MR"}]}
    return configuration(tmp_path, peers=peers, routes=[route, other])


@pytest.fixture
def road(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Road:
    road = Road(config, spool, database, {"bright": bright(tmp_path)})
    begun = database.now() - 1000
    arrive(spool, database, series(shape=(6, 32, 32)), now=begun)
    assert road.intake.settle_quiet(now=begun + 61)
    assert road.work() == 1
    return road


def test_its_timeline_and_its_verdicts(page: Served, road: Road) -> None:
    (job,) = road.jobs()
    visitor = page.visitor(Role.ACT)
    answer = visitor.get(f"/studies/{job.study_id}")
    assert "6 images came from PACS" in answer.words
    assert "Modality is CT (eq CT)" in answer.words
    assert "Modality is CT; wanted: eq MR" in answer.words
    for what in ("received", "waiting", "judged", "queued", "running", "ready"):
        assert f'class="bar {what}"' in answer.text
    assert "Next: job" in answer.words
    assert visitor.post(f"/studies/{job.study_id}/judge").status == 303
    assert page.trail.acts[-1][1] == "studies judge"


def test_who_looks_sees_no_value_of_a_header(page: Served, road: Road) -> None:
    (job,) = road.jobs()
    answer = page.visitor(Role.LOOK).get(f"/studies/{job.study_id}")
    assert "Modality is" not in answer.words
    assert "1 clauses failed" in answer.words


def test_pictures_are_for_those_who_act_and_on_record(page: Served, road: Road) -> None:
    (job,) = road.jobs()
    visitor = page.visitor(Role.ACT)
    first = f"/jobs/{job.id}/pictures/0.png"
    assert f'src="{first}"' in visitor.get(f"/jobs/{job.id}").text
    answer = visitor.get(first)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    picture = road.spool.root / "seen.png"
    picture.write_bytes(answer.content)
    with Image.open(picture) as shown:
        pixels = np.asarray(shown)
    assert pixels.shape[2] == 3
    assert (pixels[..., 0] != pixels[..., 2]).any()  # an outline in colour
    _, verb, about = page.trail.acts[-1]
    assert (verb, about["job_id"]) == ("preview", job.id)
    assert about["study_instance_uid"] == job.study_instance_uid
    look = page.visitor(Role.LOOK)
    assert look.get(first).status == 403
    assert "<img" not in look.get(f"/jobs/{job.id}").text
    assert visitor.get(f"/jobs/{job.id}/pictures/99.png").status == 404


def test_no_page_names_the_patient(page: Served, road: Road) -> None:
    (job,) = road.jobs()
    visitor = page.visitor(Role.CONFIGURE)
    for path in ("/", "/studies", f"/studies/{job.study_id}", f"/jobs/{job.id}", "/peers"):
        text = visitor.get(path).text.lower()
        assert "phantom^" not in text
        assert "phantom-1" not in text


def test_a_picture_that_was_altered_is_not_shown(page: Served, road: Road) -> None:
    (job,) = road.jobs()
    path = road.objects(job)["key_images"]
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    answer = page.visitor(Role.ACT).get(f"/jobs/{job.id}/pictures/0.png")
    assert (answer.status, "not what was made" in answer.words) == (409, True)


def test_models_tell_their_times_and_outcomes(page: Served, road: Road) -> None:
    words = page.visitor(Role.LOOK).get("/models").words
    assert "bright 1.0" in words
    assert "Of the last 1 results." in words
    assert "1 findings; 0 % not judged" in words


def test_the_api_tells_the_same(page: Served, road: Road) -> None:
    program = page.anybody(token=page.token(Role.LOOK))
    (job,) = json.loads(program.get("/api/jobs").content)
    assert (job["state"], job["outcome"]) == ("ready", "findings")
    found = json.loads(program.get(f"/api/jobs/{job['id']}").content)
    assert {each["state"] for each in found["deliveries"]} == {DeliveryState.PENDING}
    assert json.loads(program.get("/api/status").content)["jobs"]["ready"] == 1
    assert (
        "/api/jobs/{job_id}/retry" in json.loads(program.get("/api/openapi.json").content)["paths"]
    )
    assert program.post(f"/api/jobs/{job['id']}/cancel").status == 403
