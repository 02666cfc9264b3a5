"""A real Orthanc as the PACS: started on free ports, with the routing script that we ship."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.loopback import free_port

ROUTE = Path(__file__).parents[2] / "deploy" / "orthanc" / "route.lua"
_PLUGIN_FOLDERS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc/plugins")


def executable() -> str | None:
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


class Orthanc:
    """AE title ORTHANC; the node is known to it as AI_NODE on `node_port`."""

    def __init__(
        self,
        home: Path,
        *,
        node_port: int,
        routing: bool = True,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`settings` go beside those below, or replace them."""
        self.home = home
        self.settings = dict(settings or {})
        self.http_port = free_port()
        self.dicom_port = free_port()
        self.node_port = node_port
        self.routing = routing
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Orthanc":
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / "orthanc.json"
        path.write_text(json.dumps(self._configuration()))
        program = executable()
        assert program is not None
        with (self.home / "orthanc.log").open("ab") as log:
            self.process = subprocess.Popen([program, str(path)], stdout=log, stderr=log)
        self.wait(self._answers, timeout_s=40)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "orthanc.log").read_text()
        try:
            self.get("/system")
        except OSError:
            return False
        return True

    def _configuration(self) -> dict[str, Any]:
        plugins = [
            str(path)
            for folder in _PLUGIN_FOLDERS
            for path in Path(folder).glob("libOrthancDicomWeb.so")
        ]
        return {
            "Name": "test PACS",
            "StorageDirectory": str(self.home / "db"),
            "IndexDirectory": str(self.home / "db"),
            "Plugins": plugins,
            "LuaScripts": [str(ROUTE)] if self.routing else [],
            "UserMetadata": {"SentToAiNode": 5001},
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom_port,
            "DicomModalities": {
                "ainode": {"AET": "AI_NODE", "Host": "127.0.0.1", "Port": self.node_port}
            },
            "DicomAssociationCloseDelay": 0,
            "StableAge": 1,
            "OverwriteInstances": False,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **self.settings,
        }

    def request(self, path: str, body: bytes | None = None, accept: str = "*/*") -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", data=body, headers={"Accept": accept}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())

    def get(self, path: str) -> Any:
        return json.loads(self.request(path))

    def upload(self, path: Path) -> None:
        self.request("/instances", path.read_bytes())

    def qido(self, study_instance_uid: str, modality: str) -> list[dict[str, Any]]:
        """Series of a study by QIDO-RS, as a viewer asks."""
        return self.json(f"/dicom-web/studies/{study_instance_uid}/series?Modality={modality}")

    def json(self, path: str) -> list[dict[str, Any]]:
        """The answer of DICOMweb; nothing where it has nothing."""
        return list(json.loads(self.request(path, accept="application/dicom+json") or "[]"))

    def instances(self, study_instance_uid: str, modality: str) -> list[bytes]:
        """Part 10 files of a modality in a study."""
        query = {"StudyInstanceUID": study_instance_uid, "Modality": modality}
        body = json.dumps({"Level": "Instance", "Query": query}).encode()
        ids = json.loads(self.request("/tools/find", body))
        return [self.request(f"/instances/{each}/file") for each in ids]

    def wait(self, test: Callable[[], Any], *, timeout_s: float = 60) -> Any:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if value := test():
                return value
            time.sleep(0.1)
        raise TimeoutError("the PACS did not come to the expected state")
