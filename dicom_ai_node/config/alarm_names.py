"""The names of alarms, which are the headings of docs/runbook.md."""

import enum


class AlarmName(enum.StrEnum):
    """What a person must hear of."""

    NOTHING_RECEIVED = "nothing_received"
    PEER_UNREACHABLE = "peer_unreachable"
    REFUSED_MORE_THAN_USUAL = "refused_more_than_usual"
    FAILED_MORE_THAN_USUAL = "failed_more_than_usual"
    DEAD_LETTERS = "dead_letters"
    NEEDS_REVIEW = "needs_review"
    BOOKS_UNBALANCED = "books_unbalanced"
    DISK_LOW = "disk_low"
    DISK_FULL = "disk_full"
    CERTIFICATE_EXPIRES = "certificate_expires"
    MODEL_DISABLED = "model_disabled"
    DATABASE_UNSOUND = "database_unsound"
    STORED_DAMAGED = "stored_damaged"
    WORKER_SILENT = "worker_silent"
    QUEUE_LATE = "queue_late"
    PROBE_FAILED = "probe_failed"
    PROBE_LATE = "probe_late"
    CLOCK_JUMPED = "clock_jumped"
    NOT_COMMITTED = "not_committed"
    BACKUP_OLD = "backup_old"
    AUDIT_NOT_SENT = "audit_not_sent"
