"""One event name plus fields; JSON lines unless somebody watches. Never what names a patient.

Fields are an allow-list by convention: our own ids, counts, seconds, codes, AE titles, addresses.
UIDs are hashed with a salt of this site, so that two lines about one study can be put together.
"""

import hashlib
import logging
import sys
import threading
import traceback
import unicodedata
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

_MAX_TEXT = 500
_salt = b""
_settings: dict[str, Any] = {}


def configure(*, level: str = "info", json_lines: bool | None = None, salt: bytes = b"") -> None:
    """Once per process, before anything is logged; `json_lines` None: unless stderr is a tty."""
    global _salt
    _salt = salt
    _settings.update(level=level, json_lines=json_lines, salt=salt)
    as_json = not sys.stderr.isatty() if json_lines is None else json_lines
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _frames,
        _escape,
    ]
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quieten()
    sys.excepthook = lambda _kind, error, _trace: _unexpected(error)
    threading.excepthook = lambda args: _unexpected(args.exc_value)


def _unexpected(error: BaseException | None) -> None:
    """An exception that nobody caught: its class and place, and never its text."""
    if error is not None and not isinstance(error, KeyboardInterrupt):
        get_logger(__name__).critical("unexpected_error", exc_info=error)


def settings() -> dict[str, Any]:
    """What `configure()` was called with, for a process that this one starts."""
    return dict(_settings)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def pseudonym(uid: str) -> str:
    """A short stand-in for a UID in logs: equal for equal UIDs on this site, nothing elsewhere."""
    return hashlib.blake2b(uid.encode(), key=_salt[:64], digest_size=6).hexdigest()


def _quieten() -> None:
    """Libraries that put values of data sets into their messages say nothing here (P20)."""
    # ignored, not only unheard: Python remembers each text that a warning ever had, for ever
    warnings.filterwarnings("ignore", module=r"pydicom|pynetdicom|highdicom")
    logging.captureWarnings(capture=True)
    for name in ("pydicom", "pynetdicom", "highdicom", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
    for name in ("alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # a tick that is still running when the next is due is skipped, which is no news
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def where(error: BaseException) -> str:
    """An exception's class and the frames it passed: never its text, which may quote a data set."""
    frames = traceback.extract_tb(error.__traceback__)
    path = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    return f"{type(error).__name__} at {path}"


def _frames(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = where(error)
    return event


def _escape(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No string from outside can end a line, colour a terminal or hide text (D28)."""
    for key, value in event.items():
        if isinstance(value, str) and not key.startswith("_"):
            event[key] = visible(value[:_MAX_TEXT])
    return event


def visible(text: str) -> str:
    r"""What would end a line, colour a terminal or hide text stands as \u001b does."""
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    hidden = unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs")
    return f"\\u{ord(char):04x}" if hidden else char


# Until `configure()` is called, and in a process that forgets to: the same silence about values.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        _frames,
        _escape,
        structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
    ]
)
