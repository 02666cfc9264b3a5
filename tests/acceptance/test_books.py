"""What the node says of itself is what was sent to it, by the sender's own account."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.receive.scu import association

pytestmark = pytest.mark.slow

IS_CT = {"attr": "Modality", "op": "eq", "value": "CT"}


@pytest.fixture
def node(tmp_path: Path, threshold_store: Path) -> Iterator[NodeProcess]:
    made = NodeProcess(
        tmp_path / "node",
        models=threshold_store,
        peers={"archive": {"kind": "folder", "path": str(tmp_path / "results")}},
        routes=[{"model": "threshold-ct", "send_to": ["archive"], "require": [IS_CT]}],
    )
    yield made.start()
    made.stop()


def send(node: NodeProcess, instances: list[Dataset]) -> Counter[str]:
    """What the sender was told of each."""
    with association(node.port) as assoc:
        return Counter(f"{assoc.send_c_store(ds).Status:04X}" for ds in instances)


@pytest.mark.fault("H7")
def test_the_books_are_what_was_sent(node: NodeProcess, tmp_path: Path) -> None:
    """Through a kill, a drain and a restart; and what is left of it is well."""
    first = dicom_factory.series(name="books-one", shape=(12, 64, 64))
    second = dicom_factory.series(name="books-two", shape=(12, 64, 64))
    told = send(node, first)
    told += send(node, first[:5])  # the same again
    assert told == {"0000": 17}
    node.kill()
    node.start()
    node.wait(lambda: node.status()["jobs"]["done"] == 1)

    drained = node.verb("status")["draining"]
    assert drained is False
    assert node.said("drain") == 0
    with association(node.port) as assoc:
        assert assoc.is_rejected
    assert node.said("jobs", "retry", "1") == 1  # it is delivered
    assert node.stop() == 0
    node.start()
    with association(node.port) as assoc:
        assert assoc.is_rejected  # a restart does not end it
    assert node.said("drain", "--off") == 0

    assert send(node, second) == {"0000": 12}
    node.wait(lambda: node.status()["jobs"]["done"] == 2)
    found = node.status()
    received = Counter(found["received"])
    assert received["stored"] + received["adopted"] == found["instances"] == 24
    assert found["instances_of"] == {"routed": 24}
    assert received["duplicate"] <= 5  # what was only counted may go with a kill
    assert found["balanced"]
    results = list((tmp_path / "results").rglob("*.dcm"))
    assert len(results) == len({path.name for path in results}) == 6
    checks = {each["check"]: each["level"] for each in node.verb("doctor", "--all")}
    wrong = {name for name, level in checks.items() if level == "fail"}
    assert wrong <= {"space of the spool", "space of the database"}
