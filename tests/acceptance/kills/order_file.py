"""The order that processes of the node read at each durable step (`durable_steps`)."""

import os
from pathlib import Path

from dicom_ai_node.durable_steps import Order


class OrderFile:
    """One order at a time; the file stays the same while its contents change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.order: Order | None = None
        path.touch()
        path.chmod(0o666)  # an attempt process may be another user's

    def give(self, order: Order | None) -> None:
        self.order = order
        text = f"{order.step}:{order.time}:{order.action}\n" if order else ""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def came(self) -> int:
        """How often the step has been reached."""
        return len(self.path.read_bytes().partition(b"\n")[2])

    def is_struck(self) -> bool:
        return self.order is not None and self.came() >= self.order.time
