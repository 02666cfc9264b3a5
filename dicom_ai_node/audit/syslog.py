"""Audit messages as syslog: the frame of RFC 5424 as PS3.15 A.6 wants it."""

import re
from datetime import UTC, datetime

_VERSION = 1
_NOTICE, _WARNING = 5, 4  # severities (RFC 5424 6.2.1): what went well, and what did not
_APP_NAME = "dicom_ai_node"
_MSGID = "DICOM+RFC3881"  # PS3.15 A.6
_BOM = b"\xef\xbb\xbf"  # RFC 5424 6.4: what follows is UTF-8
_NIL = "-"
_FAILURE = re.compile(rb' EventOutcomeIndicator="(?!0")')


def message(body: bytes, *, facility: int, host: str, at: float) -> bytes:
    """HEADER, no structured data, and the XML; `at` is when it happened."""
    severity = _WARNING if _FAILURE.search(body, 0, 400) else _NOTICE
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    header = " ".join(
        (
            f"<{facility * 8 + severity}>{_VERSION}",
            moment.replace("+00:00", "Z"),
            _ascii(host, 255),
            _APP_NAME,
            _NIL,  # of another process than the one that sends
            _MSGID,
            _NIL,
        )
    )
    return header.encode("ascii") + b" " + _BOM + body


def framed(content: bytes) -> bytes:
    """Octet counting (RFC 5425 4.3)."""
    return b"%d %s" % (len(content), content)


def _ascii(text: str, longest: int) -> str:
    kept = "".join(char for char in text if "!" <= char <= "~")
    return kept[:longest] or _NIL
