"""`telemhq server …`: the reference server. The one place that reaches `server_stub`."""

from __future__ import annotations

import os
import shlex
from dataclasses import astuple
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from telemhq_agents.errors import SettingsError
from telemhq_cli.commands.options import AsCsv, AsJson  # noqa: TC001 - read by Typer
from telemhq_cli.render.copied import copied_tables
from telemhq_cli.render.output import Form, form_of, note, say, say_now, show_json, show_table
from telemhq_cli.render.plans import planned_accounts
from telemhq_cli.render.progress import counting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server_stub.settings import Settings
    from server_stub.store.plans import PlannedAccount

app = typer.Typer(no_args_is_help=True, help="A server of your own.")
plan = typer.Typer(no_args_is_help=True, help="What the accounts of a server of yours may do.")
app.add_typer(plan, name="plan")
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="sqlite:///PATH, a path or postgresql://…; without it SQLite in your data directory"
        " [env: TELEMHQ_DATABASE_URL].",
    ),
]


@app.command()
def init(
    email: Annotated[str, typer.Option("--email", metavar="EMAIL", help="The owner's address.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The owner's name.")
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Create the database, an owner and a first API key.

    The key is shown this once.
    """
    settings = _settings({"TELEMHQ_DATABASE_URL": database})
    from server_stub.setup import initialise  # noqa: PLC0415 - an extra, and 500 ms of it

    made = initialise(settings, email, name)
    if as_json:
        show_json(made)
        return
    note(f"The server has an owner, {made.email}. The API key, shown this once:")
    say(made.api_key)
    note("", f"Next: {run_command(database)}", f"      {login_command(settings)}")


@app.command()
def run(
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Listen here [env: TELEMHQ_HOST]."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="NUMBER", help="0 takes a free one [env: TELEMHQ_PORT]."),
    ] = None,
    database: Database = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", metavar="NUMBER", min=1, help="Server processes; several need PostgreSQL."
        ),
    ] = 1,
) -> None:
    """Run the server until it is stopped; prints its URL once it listens."""
    given = {
        "TELEMHQ_HOST": host,
        "TELEMHQ_PORT": None if port is None else str(port),
        "TELEMHQ_DATABASE_URL": database,
    }
    settings = _settings(given)
    from server_stub.run import serve  # noqa: PLC0415 - an extra, and 500 ms of it

    serve(settings, ready=_announce, workers=workers)


@app.command("migrate-database")
def migrate_database(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The database that has it all.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="An empty one.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Copy a server's database into an empty one.

    Such as from SQLite to PostgreSQL. Stop the server first. Everything is copied or nothing; counts and sums are compared at the end.
    """
    origin, goal = (
        _settings({"TELEMHQ_DATABASE_URL": address}).database_url for address in (source, target)
    )
    from server_stub.store.copying import copy_database  # noqa: PLC0415 - an extra, and 500 ms of it

    with counting("Copying") as told:
        copied = copy_database(origin, goal, told)
    show_table(
        copied_tables([astuple(one) for one in copied]),
        form_of(as_json=as_json, as_csv=as_csv),
        copied,
    )
    note("", f"Next: {run_command(target)}")


@plan.command("list")
def list_plans(database: Database = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List every account of a server with its plan."""
    settings = _settings({"TELEMHQ_DATABASE_URL": database})
    from server_stub.planning import accounts_with_plans  # noqa: PLC0415 - an extra

    _show_plans(accounts_with_plans(settings), form_of(as_json=as_json, as_csv=as_csv))


@plan.command("set")
def set_plan(
    account: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT",
            help="A team's name, the e-mail address of a personal account's owner, an id, or"
            " `everybody`.",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="PLAN", help="free, pro, team or unlimited.")],
    database: Database = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Give an account another plan; it holds from the next ping on.

    A smaller plan takes nothing away at once but runs that it keeps no more. New accounts have the
    plan that TELEMHQ_DEFAULT_PLAN names.
    """
    settings = _settings({"TELEMHQ_DATABASE_URL": database})
    from server_stub.planning import give_plan  # noqa: PLC0415 - an extra

    _show_plans(give_plan(settings, account, name), form_of(as_json=as_json, as_csv=as_csv))


def _show_plans(found: Sequence[PlannedAccount], form: Form) -> None:
    rows = [(str(one.id), one.kind, one.name, one.owner, one.plan) for one in found]
    show_table(planned_accounts(rows), form)


def _announce(url: str) -> None:
    say_now(f"TelemHQ listens on {url}")


def run_command(database: str | None) -> str:
    """Return how to run the server on this database; a password is not shown again."""
    if database is None:
        return "telemhq server run"
    parts = urlsplit(database)
    if parts.password or "password=" in parts.query:
        return "telemhq server run --database URL   (the same)"
    return f"telemhq server run --database {shlex.quote(database)}"


def login_command(settings: Settings) -> str:
    """Return how to log in to a server with these settings."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - any address means this one too
    shown = f"[{host}]" if ":" in host else host
    url = settings.public_url or f"http://{shown}:{settings.port}"
    return f"telemhq login --url {url}"


def _settings(given: dict[str, str | None]) -> Settings:
    _require_extra()
    from server_stub.settings import load  # noqa: PLC0415 - an extra

    overrides = {name: value for name, value in given.items() if value is not None}
    # An option wins over the variable, and over the file that a variable names.
    hidden = {f"{name}_FILE" for name in overrides}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return load({**kept, **overrides})


def _require_extra() -> None:
    missing = [name for name in ("fastapi", "sqlalchemy", "uvicorn") if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"The server's own packages are not installed ({', '.join(missing)} missing).",
            "pip install 'telemhq[server]'",
        )
