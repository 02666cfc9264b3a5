"""What of `alarms` and `probe` cannot be, and which key is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node.cli.remarks import open_to_all
from dicom_ai_node.config.load import load
from dicom_ai_node.errors import ConfigError

BASE: dict[str, Any] = {
    "node": {"ae_title": "AI_NODE"},
    "accept": [{"ae_title": "AI_NODE_PROBE", "from": ["127.0.0.1/32"]}],
    "peers": {
        "pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": 104},
        "files": {"kind": "folder", "path": "results"},
    },
    "routes": [{"model": "threshold-ct", "send_to": ["pacs"]}],
    "probe": {"at": "06:30", "peer": "pacs"},
}


def loaded(folder: Path, **sections: Any) -> str:
    """What is wrong with it; "" where nothing is."""
    (folder / "node.yaml").write_text(json.dumps(BASE | sections, indent=1))
    try:
        load(folder, {})
    except ConfigError as error:
        return str(error)
    return ""


def test_a_probe_that_can_come_back_is_right(tmp_path: Path) -> None:
    assert loaded(tmp_path) == ""


def test_the_route_that_is_named_takes_the_probe_alone(tmp_path: Path) -> None:
    """Written as the mistake says, there is nothing left to be said; without its rule there is."""
    said = loaded(tmp_path, routes=[])
    rule = "require: [{attr: $calling_ae, op: eq, value: AI_NODE_PROBE}]"
    assert rule in said
    assert "docs/runbook.md#the-probe" in said
    route = f"{{model: threshold-ct, send_to: [pacs], {rule}}}"
    base = json.dumps({**BASE, "routes": []}).replace('"routes": []', f'"routes": [{route}]')
    (tmp_path / "node.yaml").write_text(base)
    assert list(open_to_all(load(tmp_path, {}))) == []
    assert loaded(tmp_path) == ""
    (remark,) = open_to_all(load(tmp_path, {}))
    assert rule in remark


@pytest.mark.parametrize(
    ("sections", "key", "said"),
    [
        ({"probe": {"at": "06:30", "peer": "files"}}, "probe.peer", "no peer files of kind dimse"),
        ({"probe": {"peer": "pacs"}}, "probe", "either every_h"),
        ({"probe": {"at": "06:30", "every_h": 3, "peer": "pacs"}}, "probe", "either every_h"),
        ({"routes": []}, "probe.model", "no route takes its study to threshold-ct and pacs"),
        ({"accept": []}, "probe.ae_title", "AI_NODE_PROBE may not store here"),
        (
            {"accept": [{"ae_title": "AI_NODE_PROBE", "from": ["10.0.0.0/8"]}]},
            "probe.ae_title",
            "from: [127.0.0.1]",
        ),
        (
            {"accept": [{"ae_title": "AI_NODE_PROBE", "from": ["127.0.0.1"], "may": ["echo"]}]},
            "probe.ae_title",
            "may not store",
        ),
        ({"alarms": {"webhooks": [{"url": "http://x.example/"}]}}, "alarms.webhooks.0", "https"),
        (
            {"alarms": {"webhooks": [{"url": "https://x.example/", "names": ["no_such"]}]}},
            "alarms.webhooks.0.names",
            "nothing_received",
        ),
        ({"alarms": {"studies_come": {"between": ["19:00", "07:00"]}}}, "studies_come", "earlier"),
        ({"alarms": {"nothing_received_h": 0}}, "alarms.nothing_received_h", "number above 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(
    tmp_path: Path, sections: dict[str, Any], key: str, said: str
) -> None:
    text = loaded(tmp_path, **sections)
    assert key in text
    assert said in text
    assert "node.yaml:" in text
