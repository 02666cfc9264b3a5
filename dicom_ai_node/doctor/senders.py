"""Who was turned away in the last day because this node does not know them, as the trail has it."""

import time
from collections.abc import Iterator
from ipaddress import ip_address

from dicom_ai_node.audit.read import Entry, turned_away
from dicom_ai_node.config.settings import Config
from dicom_ai_node.doctor.finding import Finding, ok, warn
from dicom_ai_node.receive.strangers import CALLED_UNKNOWN
from dicom_ai_node.spool import Spool

_CHECK = "senders"
_DAY_S = 86_400
_NAME_IT = "if it may send here, name its AE title and its address in one entry of accept"
_OTHER_TITLE = "have it call this node by a title of node.ae_title, or add that title there"


def examine(config: Config, spool: Spool) -> Iterator[Finding]:
    """Without those whom accept has come to name since."""
    entries = turned_away(spool.root / "audit", since=time.time() - _DAY_S)
    found = [each for each in entries if not _is_welcome(config, each)]
    if not found:
        yield ok(_CHECK, "nobody whom accept does not name was turned away in the last 24 hours")
        return
    last = found[-1]
    times = f"{len(found)} times" if len(found) > 1 else "once"
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(last.at))
    title = "" if _title(last) == _address(last) else f" as {_title(last)}"
    text = (
        f"senders were turned away {times} in the last 24 hours, the last from {_address(last)}"
        f"{title} at {at}: {last.what}"
    )
    step = _OTHER_TITLE if last.what == CALLED_UNKNOWN else _NAME_IT
    yield warn(_CHECK, text, f"{step} (`dicom-ai-node audit list` has each)")


def _is_welcome(config: Config, entry: Entry) -> bool:
    if entry.what == CALLED_UNKNOWN:  # accept names it, and always did
        return False
    title, where = _title(entry), ip_address(_address(entry))
    return any(
        title in (each.ae_title, str(where)) and any(where in network for network in each.from_)
        for each in config.accept
    )


def _title(entry: Entry) -> str:
    return entry.others[0]


def _address(entry: Entry) -> str:
    return entry.addresses[0]
