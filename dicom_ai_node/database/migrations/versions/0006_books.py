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
    op.create_table(
        "tally",
        sa.Column("book", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("book", "state", name="pk_tally"),
    )
    op.add_column("fetch", sa.Column("there", sa.Integer()))
    op.create_index("ix_study_last_received_at", "study", ["last_received_at"])
