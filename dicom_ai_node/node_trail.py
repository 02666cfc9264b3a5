"""The audit trail of a node, and whose a study is that its messages are about."""

from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from dicom_ai_node.audit.message import Source
from dicom_ai_node.audit.study import StudyInstances
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool


def trail_of(config: Config, spool: Spool, database: Database) -> Trail:
    """Of the node that is configured so."""
    settings = config.audit
    source = Source(
        source_id=settings.source_id or config.node.ae_title[0],
        enterprise_site_id=settings.enterprise_site_id,
        ae_titles=config.node.ae_title,
    )
    return Trail(spool.root / "audit", source, study_of=study_of(spool, database))


def study_of(spool: Spool, database: Database) -> Callable[[str], StudyInstances]:
    """By Study Instance UID; without a patient where the node has no file of it (any more)."""

    def find(study_instance_uid: str) -> StudyInstances:
        try:
            with database.read() as connection:
                file = studies.a_file(connection, study_instance_uid)
        except SQLAlchemyError:  # damaged, or of another version: the verb will say so
            file = None
        if file is None:
            return StudyInstances(study_instance_uid=study_instance_uid)
        from dicom_ai_node.audited import in_file  # brings pydicom, which who only looks needs not

        return in_file(spool.instance_path(file), study_instance_uid)

    return find
