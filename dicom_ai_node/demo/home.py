"""The demo's own folder: what it may remove, and the node's configuration in it."""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from dicom_ai_node.config.settings import NodeSettings
from dicom_ai_node.demo import archive
from dicom_ai_node.errors import AlreadyRunning, ConfigError
from dicom_ai_node.spool import Spool

MARKER = ".dicom-ai-node-demo"
_MODELS = "DICOM_AI_NODE__NODE__MODELS"
_PREFIX = "DICOM_AI_NODE__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Everything of the demo but the model store lies below `root`."""

    root: Path

    @property
    def wheels(self) -> Path:
        return self.root / "wheels"

    @property
    def head(self) -> Path:
        return self.root / "head"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def spool(self) -> Path:
        return self.root / "node"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def log(self) -> Path:
        return self.root / "node.log"

    @property
    def montage(self) -> Path:
        return self.root / "montage.png"


@contextmanager
def open_home(root: Path) -> Iterator[Home]:
    """A folder of the demo's own, cleared of the last run; two demos never share one."""
    home = Home(root=root.absolute())
    marker = home.root / MARKER
    if not marker.exists():
        if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
            raise ConfigError(
                f"{root} is there and was not made by the demo, which would remove things in it: "
                "choose another folder with --dir"
            )
        home.root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(marker.open("a"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"a demo runs in {root} already: end that one, or choose another folder with --dir"
            ) from None
        _clear(home)
        yield home


def _clear(home: Home) -> None:
    if home.spool.exists():
        with Spool(home.spool).lock("run", wait_s=5):  # not under a node that still runs
            pass
    for folder in (home.spool, home.archive, home.head, home.config):
        if folder.exists():
            shutil.rmtree(folder)
    for file in (home.log, home.montage):
        file.unlink(missing_ok=True)


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Overrides are for the site's own node; only the model store is common to both."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_PREFIX) or name == _MODELS
    }


def write_configuration(home: Home, *, archive_port: int) -> None:
    """Ordinary configuration, as a site would write it."""
    models = NodeSettings.model_fields["models"].default
    url = URL.create("sqlite", database=str(home.spool / "node.db"))
    home.config.mkdir()
    (home.config / "node.yaml").write_text(
        _CONFIGURATION.format(
            port=_free_port(),
            web_port=_free_port(),
            metrics_port=_free_port(),
            spool=json.dumps(str(home.spool)),  # a JSON string is a YAML string
            database=json.dumps(url.render_as_string()),
            models=json.dumps(str(models.absolute())),
            archive=archive.AE_TITLE,
            archive_port=archive_port,
        ),
        encoding="utf-8",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_CONFIGURATION = """\
# Written anew by each `dicom-ai-node demo`, with ports that were free.
node:
  ae_title: AI_NODE
  host: 127.0.0.1
  port: {port}
  spool: {spool}
  database: {database}
  models: {models}
  drain_s: 5

study:
  quiet_s: 2

web: {{host: 127.0.0.1, port: {web_port}}}
metrics: {{host: 127.0.0.1, port: {metrics_port}}}

accept:
  - {{ae_title: PACS, from: [127.0.0.1/32]}}

peers:
  archive: {{kind: dimse, ae_title: {archive}, host: 127.0.0.1, port: {archive_port}}}

routes:
  - model: brain-mr
    send_to: [archive]
    require:
      - {{attr: Modality, op: eq, value: MR}}
"""
