"""Files of the spool that are not what was acknowledged: found before they are used, and taken out,
so that the same image takes their place when it is sent again."""

from collections.abc import Iterable

from dicom_ai_node.database import lost
from dicom_ai_node.database.engine import Database
from dicom_ai_node.header import is_whole
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance

log = get_logger(__name__)


def take_out_damaged(instances: Iterable[Instance], spool: Spool, database: Database) -> int:
    """Have these read whole; how many are gone or damaged. They are lost now, and their studies
    say so."""
    bad = [each for each in instances if not is_whole(each.path, each.sha256)]
    for each in bad:
        if each.path.exists():
            spool.set_aside(each.path.name, f"damaged-{each.path.name}")
    if bad:
        with database.write() as connection:
            lost.mark(connection, [each.path.name for each in bad])
        for study in sorted({each.study_instance_uid for each in bad}):
            number = sum(each.study_instance_uid == study for each in bad)
            log.error("instances_lost", study=pseudonym(study), instances=number)
    return len(bad)
