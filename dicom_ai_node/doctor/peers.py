"""What waits for each peer, and what waits for a person."""

from collections.abc import Iterator

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import health
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn

_LATE_S = 3600.0


def examine(config: Config, database: Database) -> Iterator[Finding]:
    with database.read() as connection:
        found = books(connection)
        seen = {name: health.last_contact(connection, name) for name in config.peers}
    now = database.now()
    for name in config.peers:
        waiting = found.waiting.get(name)
        last = seen[name]
        took = "never took anything" if last is None else f"took something {_ago(now - last)}"
        if waiting is None:
            yield ok(f"peer {name}", f"nothing waits for it; it {took}")
        elif waiting.since is not None and now - waiting.since > _LATE_S:
            text = f"{waiting.objects} objects wait, the oldest since {_ago(now - waiting.since)}"
            step = f"`dicom-ai-node echo {name}`: is it there?"
            yield warn(f"peer {name}", f"{text}; it {took}", step)
        else:
            yield ok(f"peer {name}", f"{waiting.objects} objects are on their way; it {took}")
    for name in found.waiting_for.keys() - config.peers.keys():
        yield fail(
            f"peer {name}",
            f"{found.waiting_for[name]} objects wait for it, and it is not configured",
            "name it under peers: again, or `jobs cancel --peer` what waits for it",
        )
    yield _dead_letters(found.dead_letters)


def _dead_letters(waiting: dict[str, int]) -> Finding:
    if not any(waiting.values()):
        return ok("dead letters", "nothing waits for a person")
    said = ", ".join(f"{number} {name}" for name, number in waiting.items() if number)
    step = "`jobs list --dead` and `studies list` say what is to be done with each"
    return warn("dead letters", said, step)


def _ago(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h ago"
