"""What the log says, and what it never says (P20)."""

import json
import subprocess
import sys

import pytest

from dicom_ai_node import log

PREAMBLE = "import logging, sys, warnings\nfrom dicom_ai_node import log\n"


def lines(code: str, *, json_lines: bool = True, level: str = "info") -> list[str]:
    """What a process with this code writes to stderr; logging is global, so it has its own."""
    configure = f"log.configure(level={level!r}, json_lines={json_lines}, salt=b'salt')\n"
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + configure + code], capture_output=True, check=True
    )
    assert done.stdout == b""
    return done.stderr.decode().splitlines()


def events(code: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in lines(code)]


def test_an_event_is_a_name_and_fields() -> None:
    (event,) = events("log.get_logger('x').info('job_ready', job=7, seconds={'load': 1.5})")
    assert (event["event"], event["job"], event["level"]) == ("job_ready", 7, "info")
    assert event["seconds"] == {"load": 1.5}
    assert event["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_said() -> None:
    assert lines("log.get_logger('x').info('a')", level="warning") == []


@pytest.mark.fault("D28")
@pytest.mark.parametrize("json_lines", [True, False])
@pytest.mark.parametrize(
    "text",
    ["A\nfaked: line", "A\x1b[31mred", "A\u202egpj.exe", "A\u2028B", "A\r\n", "A\0B", "A\x9b"],
)
def test_no_text_from_outside_ends_a_line_or_commands_a_terminal(
    json_lines: bool, text: str
) -> None:
    code = f"log.get_logger('x').info('came', calling_ae={text!r}, titles=[{text!r}])"
    (line,) = lines(code, json_lines=json_lines)
    own_colours = line.replace("\x1b[", "") if not json_lines else line
    hidden = [char for char in text if ord(char) < 32 or ord(char) > 126]
    assert not any(char in own_colours for char in hidden if char != "\x1b")
    assert "\x1b[31mred" not in line


def test_text_is_cut() -> None:
    (event,) = events("log.get_logger('x').info('a', calling_ae='x' * 10_000)")
    assert len(event["calling_ae"]) == 500


RAISE = """
def parse(value):
    raise ValueError(f"Invalid value for VR DA: {value}")
try:
    parse("Phantom^Left")
except ValueError:
    {log}
"""


@pytest.mark.parametrize(
    "call",
    [
        "log.get_logger('x').exception('failed')",
        "log.get_logger('x').error('failed', exc_info=sys.exc_info()[1])",
        "logging.getLogger('apscheduler').exception('failed')",
    ],
)
@pytest.mark.parametrize("json_lines", [True, False])
def test_an_exception_is_its_class_and_its_frames(call: str, json_lines: bool) -> None:
    line = " ".join(lines(RAISE.replace("{log}", call), json_lines=json_lines))
    assert "Phantom" not in line
    assert "ValueError at <string>:" in line
    assert "parse" in line


@pytest.mark.parametrize(
    "code",
    [
        "logging.getLogger('pydicom').warning('Phantom^Left')",
        "logging.getLogger('pynetdicom.acse').error('Phantom^Left')",
        "logging.getLogger('highdicom').error('Phantom^Left')",
        "warnings.warn('Phantom^Left')",
        "import pydicom\nds = pydicom.Dataset()\nds.PatientBirthDate = '1950/13/32'",
    ],
)
def test_libraries_that_quote_data_sets_are_silent(code: str) -> None:
    assert lines(code) == []


def test_a_pseudonym_is_of_this_site(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(salt: bytes, uid: str = "1.2.3") -> str:
        monkeypatch.setattr(log, "_salt", salt)
        return log.pseudonym(uid)

    assert of(b"here") == of(b"here")
    assert len({of(b"here"), of(b"there"), of(b""), of(b"here", "1.2.4")}) == 4
    assert "1.2.3" not in of(b"here")
    assert of(bytes(100))  # a salt may be longer than blake2b takes


def test_where_names_frames_from_the_inside_out() -> None:
    def inner() -> None:
        raise KeyError("secret")

    with pytest.raises(KeyError) as caught:
        inner()
    said = log.where(caught.value)
    assert said.startswith("KeyError at test_log.py:")
    assert said.index("inner") < said.index("test_where")
    assert "secret" not in said


@pytest.mark.parametrize("place", ["main", "thread"])
def test_an_exception_that_nobody_caught_says_no_text_either(place: str) -> None:
    code = "def fail(): raise ValueError('Doe^Jane')\n"
    if place == "main":
        code += "try: fail()\nexcept ValueError as error: sys.excepthook(ValueError, error, None)"
    else:
        code += "import threading\nt = threading.Thread(target=fail)\nt.start()\nt.join()"
    (event,) = events(code)
    assert event["event"] == "unexpected_error"
    assert "ValueError at" in event["exception"]
    assert "Doe" not in str(event)
