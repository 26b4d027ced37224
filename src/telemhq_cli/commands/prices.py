"""`telemhq prices …`: what a token costs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents import clock, locations, price_table
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import missed
from telemhq_agents.own_prices import OwnPrice, own_prices, set_own, unset_own
from telemhq_agents.rates import MOST_USD
from telemhq_cli.commands.options import AsCsv, AsJson, at_most_one
from telemhq_cli.render.output import form_of, note, say, show_json, show_table
from telemhq_cli.render.progress import patience
from telemhq_cli.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from telemhq_agents.published_prices import Table

app = typer.Typer(no_args_is_help=True, help="Prices of models: the table in use and your own.")
BUILT_IN, DOWNLOADED = "built-in", "downloaded"

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model, as reports name it.")]
Provider = Annotated[
    str, typer.Option("--provider", metavar="NAME", help="Only where this provider serves it.")
]
USD = "USD per million"


@app.command("list")
def list_(
    model: Annotated[
        str, typer.Option("--model", metavar="GLOB", help="Only models that fit: 'claude-*'.")
    ] = "*",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show what is charged for which model, and where that is known from."""
    from telemhq_agents.price_list import listed  # noqa: PLC0415 - not needed for --help
    from telemhq_cli.render.prices import listed_prices  # noqa: PLC0415 - same

    at_most_one(json=as_json, csv=as_csv)
    table, source = _in_force()
    found = listed(table, source, own_prices(locations.ours().own_prices), model)
    show_table(listed_prices(found), form_of(as_json=as_json, as_csv=as_csv))


@app.command("set")
def set_(  # noqa: PLR0917 - one for each option
    model: Model,
    input_: Annotated[float, typer.Option("--input", metavar="USD", help=f"Input, {USD}.")],
    output: Annotated[float, typer.Option("--output", metavar="USD", help=f"Output, {USD}.")],
    cached: Annotated[
        float | None, typer.Option("--cached", metavar="USD", help="Cache reads; else as input.")
    ] = None,
    cache_write: Annotated[
        float | None,
        typer.Option("--cache-write", metavar="USD", help="Cache writes; else as input."),
    ] = None,
    cache_write_1h: Annotated[
        float | None,
        typer.Option("--cache-write-1h", metavar="USD", help="Those of an hour's life."),
    ] = None,
    since: Annotated[
        str, typer.Option("--from", metavar="DATE", help="From this day on (UTC); else always.")
    ] = "",
    provider: Provider = "",
    as_json: AsJson = False,
) -> None:
    """Set a price of your own; it wins over every table."""
    given = {
        "input": input_,
        "output": output,
        "cached_input": cached,
        "cache_write": cache_write,
        "cache_write_1h": cache_write_1h,
    }
    amounts = {name: _amount(name, value) for name, value in given.items() if value is not None}
    if not model.strip():
        raise UsageError("A price needs the name of a model.", "telemhq prices set --help")
    price = OwnPrice(model.strip(), provider.strip(), _day(since), amounts)
    lost = set_own(locations.ours().own_prices, price)
    if as_json:
        show_json({**asdict(price), "lost_comments": lost})
        return
    say(f"{price.model} has your price. What is counted already keeps its cost:")
    say("  telemhq usage --reprice shows the difference.")
    _tell(lost)


@app.command()
def unset(model: Model, provider: Provider = "", as_json: AsJson = False) -> None:
    """Take a price of your own away."""
    place = locations.ours().own_prices
    gone, lost = unset_own(place, model.strip(), provider.strip())
    if not gone:
        known = [one.model for one in own_prices(place)]
        said = missed(f"There is no price of yours for {model!r}", model, known)
        raise UsageError(said, f"They are in {place}.")
    if as_json:
        show_json({"model": model, "provider": provider, "removed": gone, "lost_comments": lost})
        return
    say(f"{counted(gone, 'price')} of {model} taken out.")
    _tell(lost)


@app.command()
def update(
    origin: Annotated[
        str, typer.Option("--from", metavar="FILE|URL", help="Elsewhere than genai-prices' own.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Get newer prices than this version came with."""
    from telemhq_agents.published_prices import PUBLISHED_AT, as_text  # noqa: PLC0415 - rarely

    with patience("Getting prices …"):
        table = _published(origin or PUBLISHED_AT)
    price_table.keep(locations.ours().downloaded_prices, as_text(table))
    models = sum(len(entry["models"]) for entry in table["providers"].values())
    if as_json:
        show_json({"from": table["from"], "made": table["made"], "models": models})
        return
    say(f"{counted(models, 'model')} priced, from {table['from']}.")
    say("New usage is priced by it; what is counted already keeps its cost.")


def _published(origin: str) -> Table:
    from telemhq_agents.published_prices import read_published  # noqa: PLC0415 - rarely

    now = clock.to_iso(clock.now_ms())
    try:
        return read_published(_fetched(origin), f"genai-prices of {now[:10]}", now)
    except ValueError as error:
        raise UsageError(
            f"What {origin} holds is no table of prices: {error}.",
            "Nothing was changed. It must be genai-prices' published data.json.",
        ) from error


def _fetched(origin: str) -> bytes:
    if "://" in origin:
        from telemhq_agents.delivery.download import download  # noqa: PLC0415 - httpx: 90 ms

        return download(origin)
    try:
        return Path(origin).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{origin} cannot be read: {error.strerror or error}.", "Give a file or a URL."
        ) from error


def _in_force() -> tuple[Mapping[str, Any], str]:
    table = price_table.newest(locations.ours().downloaded_prices)
    kind = BUILT_IN if table is price_table.built_in() else DOWNLOADED
    return table, f"{kind}: {table['from']}"


def _amount(name: str, value: float) -> float:
    if not 0 <= value <= MOST_USD:
        raise UsageError(
            f"{value:,g} is no price for {name}.",
            f"Give USD per million tokens, 0 to {MOST_USD:,}.",
        )
    return value


def _day(text: str) -> str:
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(f"{text!r} is no day.", "Give a date: --from 2026-11-01.") from error


def _tell(lost: list[str]) -> None:
    if lost:
        note("With it went these comments:", *(f"  {comment}" for comment in lost))
