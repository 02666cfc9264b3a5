"""Named inputs, priorities, evidence of completeness, studies that are fetched."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _studies()
    _verdicts()
    _jobs()
    _expectations()
    _fetches()


def _studies() -> None:
    with op.batch_alter_table("study") as table:
        table.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("evidence", sa.Text(), nullable=True))
        table.add_column(sa.Column("association_ended_at", sa.Float(), nullable=True))
        table.add_column(sa.Column("changed", sa.Integer(), nullable=False, server_default="0"))
        table.create_index(op.f("ix_study_patient_digest"), ["patient_digest"])
        table.create_index(op.f("ix_study_changed"), ["changed"])
    op.execute("UPDATE study SET revision = 1 WHERE routed_at IS NOT NULL")


def _verdicts() -> None:
    with op.batch_alter_table("verdict") as table:
        table.add_column(sa.Column("part", sa.String(length=64), nullable=False, server_default=""))
        table.add_column(
            sa.Column("input", sa.String(length=32), nullable=False, server_default="image")
        )
        table.add_column(
            sa.Column("chosen", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        table.add_column(sa.Column("score", sa.Float(), nullable=False, server_default="0"))
        table.add_column(sa.Column("held_clauses", sa.JSON(), nullable=False, server_default="[]"))
    op.execute("UPDATE verdict SET chosen = matched")


def _jobs() -> None:
    op.drop_index(op.f("ix_job_state_priority_id"), "job")
    op.drop_index(op.f("ix_job_series_instance_uid_model"), "job")
    with op.batch_alter_table("job") as table:
        table.drop_column("priority")
        table.add_column(
            sa.Column("subject", sa.String(length=160), nullable=False, server_default="")
        )
        table.add_column(sa.Column("uses", sa.JSON(), nullable=False, server_default="{}"))
        table.add_column(
            sa.Column("priority", sa.String(length=16), nullable=False, server_default="routine")
        )
        table.add_column(sa.Column("rank", sa.Float(), nullable=False, server_default="0"))
    # 1800: what a routine job lets urgent ones overtake it for
    op.execute("UPDATE job SET subject = series_instance_uid, rank = created_at + 1800")
    _name_inputs()
    op.create_index(op.f("ix_job_state_rank_id"), "job", ["state", "rank", "id"])
    op.create_index(op.f("ix_job_study_id_model_subject"), "job", ["study_id", "model", "subject"])


def _name_inputs() -> None:
    """A list of UIDs becomes the one input that every model had."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, inputs FROM job")).all()
    for row in rows:
        named = json.dumps({"image": json.loads(row.inputs)})
        connection.execute(
            sa.text("UPDATE job SET inputs = :named WHERE id = :id"),
            {"named": named, "id": row.id},
        )


def _expectations() -> None:
    op.create_table(
        "expectation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("instances", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uids", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expectation")),
        sa.UniqueConstraint(
            "study_instance_uid",
            "series_instance_uid",
            "source",
            "origin",
            name=op.f("uq_expectation_study_instance_uid_series_instance_uid_source_origin"),
        ),
    )
    op.create_index(op.f("ix_expectation_source_origin"), "expectation", ["source", "origin"])


def _fetches() -> None:
    op.create_table(
        "fetch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("for_study_id", sa.Integer(), nullable=True),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("within_days", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("instances", sa.Integer(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["for_study_id"], ["study.id"], name=op.f("fk_fetch_for_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fetch")),
        sa.UniqueConstraint(
            "study_instance_uid",
            "for_study_id",
            "peer",
            name=op.f("uq_fetch_study_instance_uid_for_study_id_peer"),
        ),
    )
    for columns in (["study_instance_uid"], ["for_study_id"], ["state", "next_try_at"]):
        op.create_index(op.f(f"ix_fetch_{'_'.join(columns)}"), "fetch", columns)
