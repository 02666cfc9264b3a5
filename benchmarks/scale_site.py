"""The others of a hospital, in a process of their own: a modality that sends, a PACS that takes."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, build_context

from tests.dicom_factory import series
from tests.peers.pacs import Pacs

_SHAPES = {"CT": (20, 64, 64), "MR": (20, 64, 64), "CR": (1, 64, 64)}


@dataclass(frozen=True, kw_only=True)
class Order:
    """One study, made and sent to a port."""

    name: str
    modality: str
    port: int


@dataclass
class Hospital:
    """Seen from the node's process; its work costs this one nothing."""

    pacs_port: int
    _said: Connection

    def send(self, order: Order) -> int:
        """How many instances were acknowledged."""
        self._said.send(order)
        return int(self._said.recv())

    def received(self) -> int:
        """Objects that the PACS has."""
        self._said.send("received")
        return int(self._said.recv())


@contextmanager
def hospital() -> Iterator[Hospital]:
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield Hospital(pacs_port=int(here.recv()), _said=here)
    finally:
        here.send(None)
        process.join(timeout=30)


def _serve(said: Connection) -> None:
    pacs = Pacs(sop_classes=[UID(str(e.abstract_syntax)) for e in AllStoragePresentationContexts])
    with pacs.running():
        said.send(pacs.port)
        while (order := said.recv()) is not None:
            said.send(_send(order) if isinstance(order, Order) else len(pacs.received))


def _send(order: Order) -> int:
    made = series(name=order.name, modality=order.modality, shape=_SHAPES[order.modality])
    ae = AE("PACS")
    syntax = made[0].file_meta.TransferSyntaxUID
    ae.requested_contexts = [build_context(made[0].SOPClassUID, syntax)]
    association = ae.associate("127.0.0.1", order.port, ae_title="AI_NODE")
    assert association.is_established
    taken = sum(int(association.send_c_store(ds).Status == 0) for ds in made)
    association.release()
    return taken
