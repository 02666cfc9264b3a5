"""Rules, dashboard and configuration for Prometheus, judged by its own tools and by a real one."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scripts import metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
_SUFFIXES = ("_bucket", "_count", "_sum")

# those of docs/runbook.md, and the two that no node can raise itself
ALARMS = {
    *("nothing_received", "peer_unreachable", "refused_more_than_usual", "failed_more_than_usual"),
    *("dead_letters", "needs_review", "books_unbalanced", "disk_low", "disk_full"),
    *("certificate_expires", "model_disabled", "database_unsound", "stored_damaged"),
    *("worker_silent", "queue_late", "probe_failed", "probe_late", "clock_jumped"),
    *("not_committed", "backup_old", "audit_not_sent"),
}
ONLY_FROM_OUTSIDE = {"node_down", "not_ready"}


def promtool(*words: object) -> None:
    from tests.tools import missing_tool

    program = shutil.which("promtool") or missing_tool("promtool")
    done = subprocess.run(
        [str(program), *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[Mapping[str, Any]]:
    (group,) = YAML(typ="safe").load(RULES)["groups"]
    return list(group["rules"])


def panels() -> list[Mapping[str, Any]]:
    made = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]
    return [each for each in made if each["type"] != "row"]


def named_in(expression: str) -> set[str]:
    """The metrics of ours in it, a histogram's series by its own name."""
    found = re.findall(r"\bdicom_ai_node_[a-z_]+", expression)
    histograms = {each.name for each in metrics.described() if each.kind == "histogram"}
    ours = set()
    for name in found:
        whole = next((name.removesuffix(end) for end in _SUFFIXES if name.endswith(end)), name)
        ours.add(whole if whole in histograms else name)
    return ours


@pytest.fixture(scope="module")
def known() -> set[str]:
    return {each.name for each in metrics.described()}


def test_the_rules_are_rules() -> None:
    promtool("check", "rules", RULES)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["alerts_test.yml", "alerts_days_test.yml"])
def test_each_rule_fires_when_it_should_and_is_silent_when_not(file: str) -> None:
    promtool("test", "rules", DEPLOY / "prometheus" / file)


def test_no_rule_goes_untested() -> None:
    text = "".join(path.read_text() for path in (DEPLOY / "prometheus").glob("*_test.yml"))
    assert {each["alert"] for each in rules()} == set(re.findall(r"alertname: (\w+)", text))


def test_the_configuration_is_one() -> None:
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_every_alarm_has_a_rule_and_every_rule_says_what_to_do() -> None:
    found = rules()
    assert {each["alert"] for each in found} == ALARMS | ONLY_FROM_OUTSIDE
    for each in found:
        page = "monitoring" if each["alert"] in ONLY_FROM_OUTSIDE else "runbook"
        assert each["annotations"]["runbook_url"] == f"docs/{page}.md#{each['alert']}"
        assert each["annotations"]["summary"].endswith(".")
        assert each["labels"]["severity"] in ("warning", "critical")


def test_what_to_do_is_written_there() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    headings = set(re.findall(r"^#+ (\w+)$", text, re.MULTILINE))
    assert headings >= ONLY_FROM_OUTSIDE
    for name in ALARMS | ONLY_FROM_OUTSIDE:
        is_named = f"`{name}`" in text or f'name="{name}"' in RULES.read_text()
        assert is_named, name
    runbook = ROOT / "docs" / "runbook.md"
    if runbook.exists():
        assert set(re.findall(r"^#+ `?(\w+)`?$", runbook.read_text(), re.MULTILINE)) >= ALARMS


def test_every_rule_asks_for_numbers_that_exist(known: set[str]) -> None:
    asked = {name for each in rules() for name in named_in(each["expr"])}
    assert asked - known == set()


def test_every_panel_asks_for_numbers_that_exist_and_says_what_it_shows(known: set[str]) -> None:
    asked = set()
    for each in panels():
        assert each["title"], each["id"]
        assert each["description"].endswith("."), each["title"]
        for target in each["targets"]:
            names = named_in(target["expr"])
            assert names, target
            assert names <= known, (each["title"], names - known)
            asked |= names
    hidden = known - asked - {"dicom_ai_node_disk_size_bytes", *_ENDS}
    assert hidden == set(), "a number that no panel shows"


_ENDS = {"dicom_ai_node_associations_accepted_total", "dicom_ai_node_associations_ended_total"}


def test_panels_do_not_overlap() -> None:
    made = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for each in made:
        at = each["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, each["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({each["id"] for each in made}) == len(made)


def expressions() -> Iterator[str]:
    for each in panels():
        for target in each["targets"]:
            yield target["expr"].replace("$instance", ".*")


def test_promtool_understands_every_panel(tmp_path: Path) -> None:
    """As rules, of which it says where they are wrong."""
    written = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": written}]}))
    promtool("check", "rules", path)


def test_the_page_has_every_metric() -> None:
    before = metrics.PAGE.read_text(encoding="utf-8")
    assert metrics.page(before) == before, "run python -m scripts.metrics"
