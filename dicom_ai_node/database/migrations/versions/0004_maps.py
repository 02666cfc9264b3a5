"""What a route asks for beside the answer: saliency, uncertainty."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("job") as table:
        table.add_column(sa.Column("maps", sa.JSON(), nullable=False, server_default="[]"))
