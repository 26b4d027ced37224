"""Brings a database to the schema this server knows, or refuses to touch a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server_stub.store.dialect import is_sqlite
from server_stub.store.engine import writing_engine
from telemhq_agents.errors import SettingsError, UnreachableError

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = 0x7E1E_4109
"""Key of the PostgreSQL advisory lock that lets one process at a time upgrade."""


def upgrade(address: str) -> None:
    """Bring the database at `address` to the newest revision, in one transaction.

    Raises SettingsError where the database was made by a newer server, UnreachableError where it
    cannot be opened.
    """
    engine = writing_engine(address)
    try:
        with engine.begin() as connection:
            _upgrade(connection)
    except DBAPIError as error:
        raise UnreachableError(
            f"the database gave no answer: {error.orig}",
            "see that it runs and that TELEMHQ_DATABASE_URL names it",
        ) from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    heads = MigrationContext.configure(connection).get_current_heads()
    if not known.issuperset(heads):
        raise SettingsError(
            f"the database was made by a newer server (revision {', '.join(heads)})",
            "run that version of telemhq, or restore the backup made before its upgrade",
        )
    if set(heads) != set(scripts.get_heads()):
        command.upgrade(config, "head")
