"""Archives that others have written: DCMTK's storescp, and Orthanc."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pydicom

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.dimse import DimseStore
from tests.acceptance.loopback import free_port
from tests.acceptance.orthanc import Orthanc, executable
from tests.tools import missing_tool
from tests.validators import tool


class RealArchive(Protocol):
    settings: DimsePeer

    def has(self) -> set[str]:
        """SOP Instance UIDs."""
        ...


@dataclass(frozen=True)
class Storescp:
    settings: DimsePeer
    folder: Path

    def has(self) -> set[str]:
        tags = ["SOPInstanceUID"]
        paths = self.folder.iterdir()
        return {str(pydicom.dcmread(p, specific_tags=tags).SOPInstanceUID) for p in paths}


@dataclass(frozen=True)
class RealOrthanc:
    settings: DimsePeer
    orthanc: Orthanc

    def has(self) -> set[str]:
        found = self.orthanc.get("/instances?expand")
        return {each["MainDicomTags"]["SOPInstanceUID"] for each in found}


def _peer(ae_title: str, port: int) -> DimsePeer:
    return DimsePeer(kind="dimse", ae_title=ae_title, host="127.0.0.1", port=port)


@contextmanager
def storescp(home: Path) -> Iterator[Storescp]:
    program = tool("storescp")
    folder, port = home / "stored", free_port()
    folder.mkdir(parents=True)
    command = [program, "--output-directory", str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found = Storescp(settings=_peer("STORESCP", port), folder=folder)
        wait_for(found.settings)
        yield found
    finally:
        process.kill()
        process.wait()


@contextmanager
def real_orthanc(home: Path) -> Iterator[RealOrthanc]:
    if executable() is None:
        missing_tool("Orthanc")
    orthanc = Orthanc(home, node_port=free_port(), routing=False).start()
    try:
        yield RealOrthanc(settings=_peer("ORTHANC", orthanc.dicom_port), orthanc=orthanc)
    finally:
        orthanc.stop()


def wait_for(settings: DimsePeer, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            DimseStore(settings, calling_ae_title="AI_NODE").echo()
        except PeerUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
