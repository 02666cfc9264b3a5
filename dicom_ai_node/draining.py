"""A node that is drained takes nothing new and begins no job, until it is told to go on.

A file in the spool says so: it outlives every process, and each role looks at it by itself.
"""

from pathlib import Path

from dicom_ai_node.spool import Spool, durable_write


def begin(spool: Spool) -> None:
    durable_write(_marker(spool), [b"drained by an operator\n"], spool.incoming / "draining.part")


def end(spool: Spool) -> None:
    _marker(spool).unlink(missing_ok=True)


def is_draining(spool: Spool) -> bool:
    return _marker(spool).exists()


def _marker(spool: Spool) -> Path:
    return spool.root / "draining"
