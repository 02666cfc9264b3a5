"""Studies that must not be deleted; and those that were, so that the node fetches none again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # numbers of studies and jobs are never given twice
    with op.batch_alter_table(
        "study", recreate="always", table_kwargs={"sqlite_autoincrement": True}
    ) as table:
        table.add_column(sa.Column("held_at", sa.Float()))
        table.add_column(sa.Column("held_by", sa.String(length=64)))
        table.add_column(sa.Column("held_why", sa.Text()))
    with op.batch_alter_table(
        "job", recreate="always", table_kwargs={"sqlite_autoincrement": True}
    ):
        pass
    op.create_table(
        "erased",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("digest", name="pk_erased"),
    )
    op.create_index("ix_erased_changed", "erased", ["changed"])
