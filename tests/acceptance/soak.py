"""`make soak MINUTES=10`: a node is used and ill-treated for so long, and must lose nothing."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance.kills.soaking import Figures, Soak
from tests.acceptance.loopback import own_network
from tests.acceptance.orthanc import executable
from tests.acceptance.reliability_page import soak_section, write_section


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, help="where the figures are written")
    parser.add_argument("--keep", action="store_true", help="the node's log, where all is well")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    figures = soak(home, seconds=asked.minutes * 60, seed=asked.seed)
    _say(str(figures))
    if asked.page:
        command = f"make soak MINUTES={asked.minutes:g} SEED={asked.seed}"
        write_section(asked.page, "soak", soak_section(figures, command))
    if not figures.reckoning.is_even:
        _say(f"see {home}")
        return 1
    if not asked.keep:
        shutil.rmtree(home)
    return 0


def soak(home: Path, *, seconds: float, seed: int) -> Figures:
    """With a real Orthanc where there is one."""
    with own_network():
        asked = Soak(home=home, seed=seed, with_orthanc=executable() is not None, say=_say)
        with asked.running() as running:
            return running.run(seconds)


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
