"""Reception, delivery, ticks and web start without a model or a decoder."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "monai",
    "highdicom",
    "dicom_ai_node.models",
    "dicom_ai_node.encoders",
    "dicom_ai_node.loading",
)


@pytest.mark.parametrize(
    "module",
    [
        "dicom_ai_node.receive.server",
        "dicom_ai_node.receive.rescan",
        "dicom_ai_node.deliver",
        "dicom_ai_node.peers.dimse",
        "dicom_ai_node.schedule",
        "dicom_ai_node.alarms.look",
        "dicom_ai_node.probe.run",
        "dicom_ai_node.intake",
        "dicom_ai_node.intake.fetcher",
        "dicom_ai_node.receive.importing",
        "dicom_ai_node.observe.server",
        "dicom_ai_node.processes",
        "dicom_ai_node.config.load",
        "dicom_ai_node.database.schema",
    ],
)
def test_what_a_module_brings_along(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint(HEAVY)
