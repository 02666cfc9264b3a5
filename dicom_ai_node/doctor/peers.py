"""What waits for each peer, and what waits for a person."""

from collections.abc import Iterator

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import health, waiting
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn

_LATE_S = 3600.0


def examine(config: Config, database: Database) -> Iterator[Finding]:
    with database.read() as connection:
        found = books(connection)
        answers = {name: waiting.last_answer(connection, name) for name in found.waiting}
        seen = {name: health.last_contact(connection, name) for name in config.peers}
    now = database.now()
    for name in config.peers:
        waits = found.waiting.get(name)
        last = seen[name]
        took = "never took anything" if last is None else f"took something {_ago(now - last)}"
        if waits is None:
            yield ok(f"peer {name}", f"nothing waits for it; it {took}")
        elif answers[name] or (waits.since is not None and now - waits.since > _LATE_S):
            since = f", the oldest since {_ago(now - waits.since)}" if waits.since else ""
            text = f"{waits.objects} objects wait{since}; it {took}"
            said = f"; to the last try: {answers[name]}" if answers[name] else ""
            yield warn(
                f"peer {name}", f"{text}{said}", f"`dicom-ai-node echo {name}`: is it there?"
            )
        else:
            yield ok(f"peer {name}", f"{waits.objects} objects are on their way; it {took}")
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
