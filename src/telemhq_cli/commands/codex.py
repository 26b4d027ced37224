"""`telemhq codex …`: the agent with one collector."""

from __future__ import annotations

import typer

from telemhq_agents.usage import Source
from telemhq_cli.commands import agent
from telemhq_cli.commands.options import AsJson  # noqa: TC001 - read by Typer
from telemhq_cli.commands.scanning import scan_now

app = typer.Typer(no_args_is_help=True, help="Codex: its session logs.")


@app.command()
def watch(
    backfill: agent.Backfill = False, since: agent.Since = None, coalesce: agent.Coalesce = None
) -> None:
    """Follow Codex's logs and report what is new, until stopped."""
    agent.follow((Source.CODEX,), backfill=backfill, since=since, coalesce=coalesce)


@app.command()
def scan(as_json: AsJson = False) -> None:
    """Read what is new in Codex's logs; sends nothing."""
    scan_now((Source.CODEX,), as_json=as_json)
