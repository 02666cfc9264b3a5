"""systemd's own tools judge the units: no mistake in them, and little for an intruder to do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tools import missing_tool

HOME = Path(__file__).parents[2]
FOLDER = HOME / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
PAGE = HOME / "docs" / "deployment.md"
MOST_EXPOSED = 2.5

_BINARY = "/opt/dicom-ai-node/bin/dicom-ai-node"
_COMMON = "# The same in each unit"


@pytest.fixture
def analyze() -> str:
    if (found := shutil.which("systemd-analyze")) is None:
        missing_tool("systemd-analyze")
    return str(found)


def _exposure(analyze: str, unit: Path) -> float:
    said = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    return float(found.group(1))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_leaves_little_to_an_intruder_and_the_page_says_how_little(
    unit: Path, analyze: str
) -> None:
    figure = _exposure(analyze, unit)
    assert figure <= MOST_EXPOSED
    assert f"| `{unit.name}` | {figure} |" in PAGE.read_text()


def test_a_unit_without_hardening_is_found_out(tmp_path: Path, analyze: str) -> None:
    unit = tmp_path / "soft.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert _exposure(analyze, unit) > MOST_EXPOSED


@pytest.mark.parametrize("drop_in", ["credentials", "gpu", "peers", "port-104"])
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_no_mistake_in_a_unit_with_any_drop_in(
    unit: Path, drop_in: str, tmp_path: Path, analyze: str
) -> None:
    copied = tmp_path / unit.name
    copied.write_text(unit.read_text().replace(_BINARY, "/bin/true"))
    shutil.copy(FOLDER / "dicom-ai-node.target", tmp_path)
    below = tmp_path / f"{unit.name}.d"
    below.mkdir()
    shutil.copy(FOLDER / f"{drop_in}.conf", below)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(copied)],
        capture_output=True,
        text=True,
        check=False,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert [line for line in done.stderr.splitlines() if "dicom-ai-node" in line] == []
    assert done.returncode == 0


def test_what_is_common_to_the_units_is_the_same_in_each() -> None:
    blocks = {unit.read_text().partition(_COMMON)[2].partition("\n\n")[0] for unit in UNITS}
    assert len(UNITS) == 5
    (block,) = blocks
    assert "NoNewPrivileges=yes" in block


def test_the_drop_in_for_peers_names_each_unit_that_asks_them() -> None:
    """The page tries a peer from its own process."""
    said = (FOLDER / "peers.conf").read_text()
    kept = {unit.name for unit in UNITS if "\nIPAddressAllow=localhost\n" in unit.read_text()}
    assert "dicom-ai-node-web.service" in kept
    assert [name for name in sorted(kept) if f"{name}.d" not in said] == []


def test_models_have_no_network_but_may_be_fenced() -> None:
    """Each attempt makes itself a network namespace, and gives up files by Landlock: both must be
    allowed inside, and the kernel's OOM killer must end one attempt, not the service."""
    work = (FOLDER / "dicom-ai-node-work.service").read_text()
    assert "\nPrivateNetwork=yes\n" in work
    for name in ("dicom-ai-node.service", "dicom-ai-node-work.service"):
        text = (FOLDER / name).read_text()
        assert "\nRestrictNamespaces=user net\n" in text
        assert "landlock_restrict_self" in text
        assert "\nOOMPolicy=continue\n" in text
