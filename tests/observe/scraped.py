"""A port that is asked as Prometheus asks it, and what it answers as numbers."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from dicom_ai_node import metrics
from dicom_ai_node.observe.server import Server


class Got(NamedTuple):
    status: int
    body: str
    headers: dict[str, str]


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """Its address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(url: str) -> Got:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 — our own http
            return Got(answer.status, answer.read().decode(), dict(answer.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Got(error.code, error.read().decode(), dict(error.headers))


def numbers(text: str) -> Mapping[str, float]:
    """By name and labels: `jobs{state="done"}`, without our prefix."""
    found = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            said = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
            found[name.removeprefix("dicom_ai_node_") + (f"{{{said}}}" if said else "")] = value
    return found


@contextmanager
def kept_in(folder: Path, *roles: str) -> Iterator[None]:
    """This process counts as the first of these roles; the others have beaten just now."""
    before = values.ValueClass
    try:
        for role in (*roles[1:], roles[0]):
            metrics.keep(folder, role)
            loop = {"receive": "node.port", "work": "jobs"}.get(role, "settle")
            metrics.beat(role, loop)()
        yield
    finally:
        values.ValueClass = before
        for metric in metrics.DECLARED:
            metric.clear()
