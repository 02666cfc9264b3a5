"""This Python's own pip, with the user's configuration of it (index, proxy, certificates)."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dicom_ai_node.errors import ConfigError


def fetched(arguments: Sequence[str], requirement: str, folder: Path, suffix: str) -> Path:
    """The one file of that suffix in the folder, after Python has run with these arguments."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    found = list(folder.glob(f"*{suffix}"))
    if done.returncode or len(found) != 1:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        fault = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        raise ConfigError(
            f"pip could not fetch {requirement} ({fault.removeprefix('ERROR: ')}): check the "
            f"network and pip's configuration, or put the {suffix} where PIP_FIND_LINKS points"
        )
    return found[0]
