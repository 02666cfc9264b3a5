"""What an attempt process is told by its environment, and what a machine allows it to use."""

from pathlib import Path

import pytest

from dicom_ai_node.engines.environment import cuda_devices, environment
from dicom_ai_node.engines.watch import memory_limit_mb

PARENTS = {
    "PATH": "/bin",
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "2",
    "DICOM_AI_NODE__NODE__DATABASE": "postgresql://node:secret@db/node",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "SSH_AUTH_SOCK": "/run/agent",
}


def test_only_what_is_known_to_be_harmless_is_passed_on() -> None:
    made = environment("cpu", parents=PARENTS)
    assert {"PATH", "LC_ALL", "OMP_NUM_THREADS"} <= set(made)
    assert "secret" not in "".join(made.values())
    assert "SSH_AUTH_SOCK" not in made


@pytest.mark.parametrize(
    ("device", "visible", "seen"),
    [("cpu", None, ""), ("cuda:1", None, "1"), ("cuda:1", "4,6", "6"), ("cpu", "4,6", "")],
)
def test_a_process_sees_its_own_device_alone(device: str, visible: str | None, seen: str) -> None:
    parents = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert environment(device, parents=parents)["CUDA_VISIBLE_DEVICES"] == seen


@pytest.mark.parametrize(
    ("visible", "found"),
    [(None, ["cuda:0", "cuda:1"]), ("1", ["cuda:0"]), ("", []), ("0,1,2", ["cuda:0", "cuda:1"])],
)
def test_every_gpu_that_may_be_used_is_found(
    tmp_path: Path, visible: str | None, found: list[str]
) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    parents = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert cuda_devices(parents, tmp_path) == found


@pytest.mark.parametrize(
    ("cgroup", "file", "limit"),
    [
        ("0::/node\n", "sys/fs/cgroup/node/memory.max", "1073741824"),
        ("4:memory:/node\n", "sys/fs/cgroup/memory/node/memory.limit_in_bytes", "1073741824"),
        ("0::/node\n", "sys/fs/cgroup/node/memory.max", "max"),
    ],
)
def test_the_limit_of_memory_is_that_of_the_container(
    tmp_path: Path, cgroup: str, file: str, limit: str
) -> None:
    """80 % of it; of the machine's where the container has none."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:        4194304 kB\n")
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(limit)
    assert memory_limit_mb(tmp_path) == int((4096 if limit == "max" else 1024) * 0.8)
