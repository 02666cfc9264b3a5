"""Verbs in processes of their own, as an administrator calls them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def verb(
    *words: str, cwd: Path, stdin: str = "", **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Ends within a minute, or the test fails; variables of ours are those given."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("DICOM_AI_NODE__")}
    return subprocess.run(
        [sys.executable, "-m", "dicom_ai_node", *words],
        cwd=cwd,
        env={**own, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environ},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
