"""Deliveries know their rung on the peer's ladder of forms, and the object itself.

Those of before have no rung: they are sent whatever becomes of others.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("delivery") as table:
        for name in ("sop_class_uid", "series_instance_uid", "sha256"):
            text = sa.Column(name, sa.String(length=64), nullable=False, server_default="")
            table.add_column(text)
        table.add_column(sa.Column("rungs", sa.JSON(), nullable=False, server_default="[]"))
