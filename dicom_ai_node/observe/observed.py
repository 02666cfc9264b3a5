"""The node as who observes it sees it: its configuration, its spool, its database."""

from dataclasses import dataclass

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    config: Config
    spool: Spool
    database: Database
