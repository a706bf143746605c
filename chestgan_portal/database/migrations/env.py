"""As Alembic asks for it: migrations run on the connection that engine.upgrade opened."""

from alembic import context

from chestgan_portal.database.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
