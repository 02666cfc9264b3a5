"""What is delivered may have to be committed to; and the books are kept as rows change."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "commitment_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_commitment_request"),
        sa.UniqueConstraint("transaction_uid", name="uq_commitment_request_transaction_uid"),
    )
    op.create_index(
        "ix_commitment_request_peer_state_expires_at",
        "commitment_request",
        ["peer", "state", "expires_at"],
    )
    op.add_column(
        "instance", sa.Column("is_lost", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    with op.batch_alter_table("delivery") as table:
        table.add_column(
            sa.Column("wants_commitment", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        table.add_column(
            sa.Column(
                "commitment_request_id",
                sa.Integer(),
                sa.ForeignKey("commitment_request.id", name="fk_delivery_commitment_request_id"),
            )
        )
        table.add_column(sa.Column("forgotten", sa.Integer(), nullable=False, server_default="0"))
        table.create_index("ix_delivery_commitment_request_id", ["commitment_request_id"])
        table.create_index(
            "ix_delivery_wants_commitment_peer_state_next_try_at",
            ["wants_commitment", "peer", "state", "next_try_at"],
        )
        table.create_index("ix_delivery_sop_instance_uid", ["sop_instance_uid"])
    op.create_index("ix_job_study_instance_uid", "job", ["study_instance_uid"])
    op.create_index("ix_study_last_received_at", "study", ["last_received_at"])
    op.create_index("ix_job_state_id", "job", ["state", "id"])
    op.create_index(
        "ix_job_notes", "job", ["created_at"], sqlite_where=sa.text("subject LIKE 'retraction: %'")
    )
    _corrections()
    op.create_table(
        "tally",
        sa.Column("book", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("book", "state", name="pk_tally"),
    )
    op.add_column("fetch", sa.Column("there", sa.Integer()))


def _corrections() -> None:
    op.create_index(
        "ix_instance_key_objects",
        "instance",
        ["id"],
        sqlite_where=sa.text("sop_class_uid = '1.2.840.10008.5.1.4.1.1.88.59'"),
    )
    op.create_table(
        "rejection_note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("read_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rejection_note"),
        sa.UniqueConstraint("sop_instance_uid", name="uq_rejection_note_sop_instance_uid"),
    )
    op.create_table(
        "rejection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rejection_note_id", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rejection"),
        sa.ForeignKeyConstraint(
            ["rejection_note_id"], ["rejection_note.id"], name="fk_rejection_rejection_note_id"
        ),
    )
    op.create_index("ix_rejection_rejection_note_id", "rejection", ["rejection_note_id"])
    op.create_index("ix_rejection_sop_instance_uid", "rejection", ["sop_instance_uid"])
    op.create_table(
        "recall",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("rejection", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_try_at", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.Float()),
        sa.Column("status", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_recall"),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_recall_job_id"),
        sa.UniqueConstraint("job_id", name="uq_recall_job_id"),
    )
    op.create_index("ix_recall_finished_at_next_try_at", "recall", ["finished_at", "next_try_at"])
