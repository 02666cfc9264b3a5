"""The tables. Times are seconds since the epoch; enumerations are stored as their values."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# a Key Object Selection, which a rejection note is: in the very words of its index, or SQLite does
# not use that
IS_KEY_OBJECT = text("sop_class_uid = '1.2.840.10008.5.1.4.1.1.88.59'")
# a rejection note of ours, as `retracted.is_note` has it
IS_NOTE = text("subject LIKE 'retraction: %'")

study = Table(
    "study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("calling_ae_title", String(16), nullable=False),
    Column("called_ae_title", String(16), nullable=False),
    # how often it was found complete: instances that came later make it grow
    Column("revision", Integer, nullable=False, default=0),
    Column("evidence", Text),  # by which it was found complete, in a sentence
    # a hash of what identifies the patient: one study is one patient (GUARANTEES P6)
    Column("patient_digest", String(64), nullable=False),
    Column("first_received_at", Float, nullable=False),
    Column("last_received_at", Float, nullable=False),
    # the last association that brought something for it; null while one brings more
    Column("association_ended_at", Float),
    Column("routed_at", Float),
    # grows with each change that bears on its completeness, over all studies: what the tick has
    # not looked at has a greater one
    Column("changed", Integer, nullable=False, default=0),
    Index(None, "state", "last_received_at"),
    Index(None, "last_received_at"),
    Index(None, "changed"),
    Index(None, "patient_digest"),
)

instance = Table(
    "instance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("study.id"), nullable=False),
    Column("series_instance_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the data set as it was received
    Column("size", Integer, nullable=False),
    Column("file", String(64), nullable=False, unique=True),  # a name of ours in the spool
    Column("received_at", Float, nullable=False),
    Column("is_lost", Boolean, nullable=False, default=False),  # gone or damaged: see `lost`
    Index(None, "study_id", "series_instance_uid"),
    Index("ix_instance_key_objects", "id", sqlite_where=IS_KEY_OBJECT),
)

# Key Object Selections that were read
rejection_note = Table(
    "rejection_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    Column("code", String(16), nullable=False),  # why (CID 7011); "": it rejects nothing
    Column("read_at", Float, nullable=False),
)

# what a note rejects, whether it has come or not
rejection = Table(
    "rejection",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rejection_note_id", ForeignKey("rejection_note.id"), nullable=False, index=True),
    Column("sop_instance_uid", String(64), nullable=False, index=True),
)

verdict = Table(
    "verdict",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("study.id"), nullable=False, index=True),
    Column("series_instance_uid", String(64), nullable=False),
    Column("part", String(64), nullable=False, default=""),  # of a series that was split
    Column("modality", String(16), nullable=False),
    Column("instances", Integer, nullable=False),
    Column("route", String(64), nullable=False),
    Column("input", String(32), nullable=False, default="image"),
    Column("matched", Boolean, nullable=False),
    Column("chosen", Boolean, nullable=False, default=False),
    Column("score", Float, nullable=False, default=0.0),
    Column("failed_clauses", JSON, nullable=False),
    Column("held_clauses", JSON, nullable=False, default=list),
    Column("at", Float, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("study_id", ForeignKey("study.id"), nullable=False, index=True),
    Column("study_instance_uid", String(64), nullable=False),
    Column("series_instance_uid", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("send_to", JSON, nullable=False),  # names of peers
    # by the input's name, the SOP Instance UIDs that the digest was made of
    Column("inputs", JSON, nullable=False),
    Column("uses", JSON, nullable=False, default=dict),  # input's name -> id of another job
    Column("maps", JSON, nullable=False, default=list),  # what the route asks for beside the answer
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("reason", Text),
    Column("priority", String(16), nullable=False),
    Column("rank", Float, nullable=False),  # lower runs first
    Column("attempts", Integer, nullable=False, default=0),
    Column("lease_id", String(36)),
    Column("lease_expires_at", Float),
    Column("worker", String(64)),
    Column("run_after", Float, nullable=False),
    Column("error_kind", String(64)),
    Column("error_text", Text),
    Column("supersedes", ForeignKey("job.id")),
    Column("created_at", Float, nullable=False),
    Column("timings", JSON, nullable=False),
    Index(None, "state", "rank", "id"),
    Index(None, "state", "id"),
    Index("ix_job_notes", "created_at", sqlite_where=IS_NOTE),
    Index(None, "created_at"),
    Index(None, "study_id", "model", "subject"),
    Index(None, "study_instance_uid"),
)

job_event = Table(
    "job_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("from_state", String(16)),
    Column("to_state", String(16), nullable=False),
    Column("why", Text),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("sop_class_uid", String(64), nullable=False, default=""),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("series_instance_uid", String(64), nullable=False, default=""),
    Column("file", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, default=""),
    # of the peer's ladder of forms: those that the object is a part of; none: it goes along always
    Column("rungs", JSON, nullable=False, default=list),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("status", Text),
    # it is not delivered before the peer has committed to it; the request, once there is one
    Column("wants_commitment", Boolean, nullable=False, default=False),
    Column("commitment_request_id", ForeignKey("commitment_request.id"), index=True),
    Column("forgotten", Integer, nullable=False, default=0),  # how often the peer had it no more
    UniqueConstraint("job_id", "peer", "sop_instance_uid"),
    Index(None, "state", "peer", "next_try_at"),
    Index(None, "sop_instance_uid"),
    Index(None, "wants_commitment", "peer", "state", "next_try_at"),
)

# results that the node takes back by itself: jobs whose rejection notes are to be written
recall = Table(
    "recall",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False, unique=True),
    Column("rejection", String(16), nullable=False),  # as Rejection has it
    Column("why", Text, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("status", Text),  # why it is not finished, in a sentence
    Index(None, "finished_at", "next_try_at"),
)

# how many instances there are, from somebody who knows (PS3.4 C.6, F.7, R.4)
expectation = Table(
    "expectation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", String(64), nullable=False),
    Column("series_instance_uid", String(64), nullable=False),  # empty: of the whole study
    Column("source", String(16), nullable=False),  # pacs, ian, mpps
    Column("origin", String(64), nullable=False),  # the peer's name, or the object's UID
    Column("instances", Integer, nullable=False),
    Column("sop_instance_uids", JSON(none_as_null=True)),  # where the source names them
    Column("is_final", Boolean, nullable=False),  # the source knows of nothing that is to follow
    Column("at", Float, nullable=False),  # since when it has said so
    UniqueConstraint("study_instance_uid", "series_instance_uid", "source", "origin"),
    Index(None, "source", "origin"),
)

# studies that are asked for: priors, and what was missed
fetch = Table(
    "fetch",
    metadata,
    Column("id", Integer, primary_key=True),
    # what is asked for; empty: which priors there are
    Column("study_instance_uid", String(64), nullable=False, index=True),
    # that which waits for it; null: nobody does, the study itself was missed
    Column("for_study_id", ForeignKey("study.id"), index=True),
    Column("peer", String(64), nullable=False),
    Column("within_days", Integer),  # how old priors may be
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("instances", Integer),  # how many the peer says it has sent
    Column("there", Integer),  # of what was missed: how many the peer says it has
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),  # the first C-MOVE
    Column("finished_at", Float),
    UniqueConstraint("study_instance_uid", "for_study_id", "peer"),
    Index(None, "state", "next_try_at"),
)

# what we ask peers to commit to
commitment_request = Table(
    "commitment_request",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", String(64), nullable=False, unique=True),
    Column("peer", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # a RequestState
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),  # without a report, it is asked again
    Column("finished_at", Float),
    Index(None, "peer", "state", "expires_at"),
)

# what we are asked to commit to
commitment = Table(
    "commitment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", String(64), nullable=False, index=True),
    Column("calling_ae_title", String(16), nullable=False),
    Column("called_ae_title", String(16), nullable=False),
    Column("references", JSON, nullable=False),  # pairs of SOP Class and SOP Instance UID
    # one FailureReason a reference (PS3.3 C.14.1.1), 0: committed; null until it is judged
    Column("reasons", JSON(none_as_null=True)),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Index(None, "state", "next_try_at"),
)

# what a person must hear of
alarm = Table(
    "alarm",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(48), nullable=False),  # its heading in docs/runbook.md
    Column("subject", String(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("seen_at", Float, nullable=False),  # when what is wrong was last found to be so
    Column("told_at", Float, nullable=False),  # when the last notifications were made
    Column("ended_at", Float),
    Column("acknowledged_by", String(64)),  # a person who takes care of it
    Column("acknowledged_at", Float),
    Index(None, "ended_at", "name", "subject"),
    Index("uq_alarm_active", "name", "subject", unique=True, sqlite_where=text("ended_at IS NULL")),
)

# who is to be told of an alarm, until they have been
notification = Table(
    "notification",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alarm_id", ForeignKey("alarm.id"), nullable=False, index=True),
    Column("channel", String(96), nullable=False),
    Column("what", String(16), nullable=False),  # raised, worse, reminder, ended
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_try_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("status", Text),  # what was answered last, in words
    Index(None, "state", "channel", "id"),
)

# how the node tried itself: one study a run, made for it
probe_run = Table(
    "probe_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", String(64), nullable=False, unique=True),
    Column("model", String(64), nullable=False),
    Column("peer", String(64), nullable=False),
    Column("stage", String(16), nullable=False),  # the one that it is in, or stopped in
    Column("waits_for", Text),  # why it does not go on, in a sentence
    Column("started_at", Float, nullable=False),
    Column("looked_at", Float),  # when the node last saw to it
    Column("finished_at", Float),
    Column("passed", Boolean),
    Column("reason", Text),  # why it did not pass
    Column("is_removed", Boolean, nullable=False, default=False),  # its images are purged
    Index(None, "finished_at"),
    # one at a time: a run that has not ended is not removed
    Index("uq_probe_run_open", "is_removed", unique=True, sqlite_where=text("finished_at IS NULL")),
)

# who may use the web page
web_token = Table(
    "web_token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),  # as roles.Role has it
    Column("sha256", String(64), nullable=False),  # of the token, which is kept nowhere
    Column("created_at", Float, nullable=False),
    Column("last_used_at", Float),
    Column("revoked_at", Float),
)

# how many there are, kept by triggers in the transactions that change it: see `tallies`
tally = Table(
    "tally",
    metadata,
    Column("book", String(80), primary_key=True),  # what is counted: instance, study, job, ...
    Column("state", String(80), primary_key=True),
    Column("number", Integer, nullable=False, default=0),
)
