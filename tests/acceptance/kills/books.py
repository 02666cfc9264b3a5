"""What the node's tables say: it tells when to look, and must agree in the end."""

from dataclasses import dataclass

from dicom_ai_node.database import tallies
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database


@dataclass(frozen=True, kw_only=True)
class Books:
    instances: int
    studies: dict[str, int]  # by state
    jobs: dict[str, int]

    @property
    def is_idle(self) -> bool:
        open_ = ("receiving", "incomplete")
        busy = ("queued", "running", "ready")
        return not any(map(self.studies.get, open_)) and not any(map(self.jobs.get, busy))


def read(url: str) -> Books:
    database = Database(url)
    try:
        with database.read() as connection:
            rows: dict[str, dict[str, int]] = {
                table: {
                    row.state: row.number
                    for row in connection.exec_driver_sql(
                        f"SELECT state, count(*) AS number FROM {table} GROUP BY state"  # noqa: S608 - ours
                    )
                }
                for table in ("study", "job")
            }
            instances = connection.exec_driver_sql("SELECT count(*) FROM instance").scalar_one()
    finally:
        database.close()
    return Books(instances=int(instances), studies=rows["study"], jobs=rows["job"])


def mistakes(url: str, *, acknowledged: int) -> list[str]:
    """Where the node's books do not agree with its rows, with each other, or with the senders."""
    database = Database(url)
    try:
        with database.write() as connection:  # nothing changes between the looks
            wrong = [str(each) for each in tallies.differences(connection)]
            found = books(connection)
    finally:
        database.close()
    came = found.received.get(tallies.STORED, 0) + found.received.get(tallies.ADOPTED, 0)
    if came != acknowledged:
        wrong.append(f"the books say that {came} instances came, of {acknowledged}")
    if not found.balanced:
        wrong.append(f"the books do not balance: {found}")
    return wrong
