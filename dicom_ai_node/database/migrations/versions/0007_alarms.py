"""Alarms, who was told of them, and how the node tried itself."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("told_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float()),
        sa.Column("acknowledged_by", sa.String(length=64)),
        sa.Column("acknowledged_at", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_alarm"),
    )
    op.create_index("ix_alarm_ended_at_name_subject", "alarm", ["ended_at", "name", "subject"])
    op.create_index(
        "uq_alarm_active",
        "alarm",
        ["name", "subject"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alarm_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=96), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float()),
        sa.Column("status", sa.Text()),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarm.id"], name="fk_notification_alarm_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notification"),
    )
    op.create_index("ix_notification_state_channel_id", "notification", ["state", "channel", "id"])
    op.create_index("ix_notification_alarm_id", "notification", ["alarm_id"])
    op.create_table(
        "probe_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("waits_for", sa.Text()),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("looked_at", sa.Float()),
        sa.Column("finished_at", sa.Float()),
        sa.Column("passed", sa.Boolean()),
        sa.Column("reason", sa.Text()),
        sa.Column("is_removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_probe_run"),
        sa.UniqueConstraint("study_instance_uid", name="uq_probe_run_study_instance_uid"),
    )
    op.create_index(
        "uq_probe_run_open",
        "probe_run",
        ["is_removed"],
        unique=True,
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.create_index("ix_probe_run_finished_at", "probe_run", ["finished_at"])
    # what models answered in the last days
    op.create_index("ix_job_created_at", "job", ["created_at"])
