"""The probe's study by C-STORE to the node's own receiver, as any modality sends one."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import Dataset

from dicom_ai_node.config.alarms import ProbeSettings
from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.config.settings import NodeSettings
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import AT_PEER
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.peers.peer import Offer

_ANSWER_S = 20.0


def send(
    instances: Sequence[Dataset], settings: ProbeSettings, node: NodeSettings, scratch: Path
) -> str | None:
    """None when every instance was taken; else what was answered, in words."""
    store = DimseStore(_ourselves(settings, node), calling_ae_title=settings.ae_title)
    with TemporaryDirectory(dir=scratch, prefix="probe-") as folder:
        paths = []
        for index, ds in enumerate(instances):
            paths.append(Path(folder) / f"{index}.dcm")
            ds.save_as(paths[-1], enforce_file_format=True)
        try:
            outcomes = [each for offered in store.store([Offer(paths=paths)]) for each in offered]
        except PeerUnreachable as error:
            return f"the node's own receiver: {error}"
    refused = [each.status for each in outcomes if each.state not in AT_PEER]
    if refused:
        return f"the node's own receiver answered {refused[0]} to {len(refused)} of its images"
    return None


def _ourselves(settings: ProbeSettings, node: NodeSettings) -> DimsePeer:
    port = node.port if node.port is not None else node.tls.port if node.tls is not None else 0
    return DimsePeer(
        kind="dimse",
        ae_title=node.ae_title[0],
        host=node.own_address,
        port=port,
        connect_timeout_s=_ANSWER_S / 2,
        timeout_s=_ANSWER_S,
        tls=settings.tls if node.port is None else None,
    )
