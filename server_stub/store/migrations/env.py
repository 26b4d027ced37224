"""Run by Alembic for each upgrade, on the connection that store/migrate.py hands over."""

from __future__ import annotations

from alembic import context

from server_stub.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
