"""Alembic's entry point: runs inside the transaction that `schema.upgrade` opened."""

from alembic import context

from dicom_ai_node.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
)
context.run_migrations()
