"""Results are taken back before their study is deleted: without its rows, no note could be sent."""

import time

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import erasure, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.produced import ResultsOf
from dicom_ai_node.errors import NodeError
from dicom_ai_node.retraction.plan import Rejection
from dicom_ai_node.retraction.recall import Recall
from dicom_ai_node.spool import Spool

_WHY = "its study was deleted from the node that made it"
_LOOK_S = 0.2


def retract_first(
    config: Config, spool: Spool, database: Database, study_instance_uid: str, *, wait_s: float
) -> None:
    """Returns when each peer has taken its note; raises NodeError where one has not within
    `wait_s`. It may be repeated."""
    recall = Recall(
        config=config,
        spool=spool,
        database=database,
        of=ResultsOf(study_instance_uid=study_instance_uid),
        rejection=Rejection.QUALITY,
        why=_WHY,
    )
    with spool.lock("retract"):
        done = recall.do(wait_s=wait_s)
    if done.by_hand:
        peers = ", ".join(sorted({each.peer for each in done.by_hand}))
        raise NodeError(
            f"results at {peers} cannot be taken back from here, and nothing was deleted: delete "
            "them there, then run this again without --retract"
        )
    deadline = time.monotonic() + wait_s
    while left := _unheard(database, study_instance_uid):
        if time.monotonic() > deadline:
            raise NodeError(
                f"job {left} has not told its peer yet, and nothing was deleted: see `jobs show "
                f"{left}`, and run this again when it is done"
            )
        time.sleep(_LOOK_S)


def _unheard(database: Database, study_instance_uid: str) -> int | None:
    """A job whose rejection note its peer has not taken."""
    with database.read() as connection:
        row = studies.find(connection, study_instance_uid)
        notes = () if row is None else erasure.notes_on_their_way(connection, row["id"])
    return notes[0] if notes else None
