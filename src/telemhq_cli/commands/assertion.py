"""`telemhq assertion …`: what must stand in a run's payload."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telemhq_agents.contract.rules import MOST_ASSERTIONS, Assertion, Operator, Severity
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import did_you_mean, missed
from telemhq_cli.commands import session
from telemhq_cli.commands.options import AsCsv, AsJson, ProfileName, TrackerName, at_most_one
from telemhq_cli.render import judging as shown
from telemhq_cli.render.output import form_of, say, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.delivery.client import ApiClient

app = typer.Typer(no_args_is_help=True, help="Rules for what a run's payload holds.")

GIVEN = 3
MINUS_IS_A_VALUE = {"ignore_unknown_options": True}
"""So that -1 is a value and no option."""

OPERATORS: dict[str, Operator] = {
    **{operator.value: operator for operator in Operator},
    **{symbol: operator for operator, symbol in shown.SYMBOLS.items()},
    "==": Operator.EQUALS,
    "eq": Operator.EQUALS,
    "ne": Operator.NOT_EQUALS,
    "gt": Operator.GREATER_THAN,
    "ge": Operator.GREATER_OR_EQUAL,
    "lt": Operator.LESS_THAN,
    "le": Operator.LESS_OR_EQUAL,
}

Path = Annotated[str, typer.Argument(metavar="PATH", help="Where it stands: usage.cost_usd.")]
Op = Annotated[
    str,
    typer.Argument(metavar="OPERATOR", help="=, !=, '>', '>=', '<', '<=', in or ~ (a pattern)."),
]
Value = Annotated[
    str, typer.Argument(metavar="VALUE", help="JSON, else text; for in: a,b,c or a JSON list.")
]
Warns = Annotated[bool, typer.Option("--warn", help="Note it with the run, but fail nothing.")]
AssertionId = Annotated[
    str, typer.Argument(metavar="ID|PATH", help="As `telemhq assertion list` shows it.")
]


@app.command(context_settings=MINUS_IS_A_VALUE)
def add(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    path: Path,
    operator: Op,
    value: Value,
    warn: Warns = False,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Add an assertion: a run of which it does not hold fails."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    wanted = assertion_of(path, operator, value, warn=warn)
    with session.opened(profile) as here:
        added = judging.add_assertion(here.api, here.tracker(tracker).id, wanted)
    _show(added, as_json=as_json)


@app.command("list")
def list_(
    tracker: TrackerName,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """List a tracker's assertions."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        found = judging.assertions(here.api, here.tracker(tracker).id)
    empty = f"No assertions yet. Next: telemhq assertion suggest {tracker}"
    show_table(shown.assertions(found, empty), form_of(as_json=as_json, as_csv=as_csv), found)


@app.command()
def update(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    assertion: AssertionId,
    path: Annotated[
        str | None, typer.Option("--path", metavar="PATH", help="Look there instead.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option("--operator", metavar="OPERATOR", help="Compare so instead.")
    ] = None,
    value: Annotated[
        str | None, typer.Option("--value", metavar="VALUE", help="Compare with this instead.")
    ] = None,
    warn: Annotated[
        bool | None, typer.Option("--warn/--fail", help="Only note it, or fail the run.")
    ] = None,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Change an assertion; runs that were judged keep their verdicts."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    if path is None and operator is None and value is None and warn is None:
        raise UsageError("Nothing is to be changed.", "telemhq assertion update --help")
    with session.opened(profile) as here:
        tracker_id = here.tracker(tracker).id
        known = chosen(judging.assertions(here.api, tracker_id), assertion)
        change = _change(known, path, operator, value, warn)
        changed = judging.change_assertion(here.api, tracker_id, known.id, change)
    _show(changed, as_json=as_json)


@app.command()
def remove(
    tracker: TrackerName,
    assertion: AssertionId,
    as_json: AsJson = False,
    profile: ProfileName = None,
) -> None:
    """Remove an assertion; runs that were judged keep their verdicts."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    with session.opened(profile) as here:
        tracker_id = here.tracker(tracker).id
        known = chosen(judging.assertions(here.api, tracker_id), assertion)
        judging.remove_assertion(here.api, tracker_id, known.id)
    if as_json:
        show_json({"removed": True, "id": known.id})
    else:
        say(f"Removed: {shown.sentence(known)}")


@app.command("test", context_settings=MINUS_IS_A_VALUE)
def try_(  # noqa: PLR0917 - one for each option
    tracker: TrackerName,
    assertion: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID | PATH OPERATOR VALUE]", help="Else all it has."),
    ] = None,
    runs: Annotated[
        int, typer.Option("--runs", "-n", min=1, max=1000, help="On how many of the latest.")
    ] = 100,
    warn: Warns = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """Try assertions on past runs: which would have failed, and why."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    given = assertion or []
    if len(given) not in {0, 1, GIVEN}:
        raise UsageError(
            "An assertion to try is an ID, or PATH OPERATOR VALUE.", "telemhq assertion test --help"
        )
    with session.opened(profile) as here:
        tracker_id = here.tracker(tracker).id
        tried: list[Assertion] | None = None
        if len(given) == 1:
            tried = [chosen(judging.assertions(here.api, tracker_id), given[0])]
        elif given:
            tried = [assertion_of(*given, warn=warn)]
        found = judging.replay(here.api, tracker_id, tried, runs)
    show_table(shown.replay(found), form_of(as_json=as_json, as_csv=as_csv), found)


@app.command()
def suggest(
    tracker: TrackerName,
    add: Annotated[bool, typer.Option("--add", help="Add all of them.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    profile: ProfileName = None,
) -> None:
    """Suggest assertions that a tracker's latest runs kept to."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    at_most_one(json=as_json, csv=as_csv)
    with session.opened(profile) as here:
        tracker_id = here.tracker(tracker).id
        found = judging.suggestions(here.api, tracker_id)
        if add:
            found = _added(here.api, tracker_id, found)
    table = shown.assertions(found, shown.NO_SUGGESTIONS) if add else shown.suggestions(found)
    show_table(table, form_of(as_json=as_json, as_csv=as_csv), found)


def _added(api: ApiClient, tracker_id: str, wanted: list[Assertion]) -> list[Assertion]:
    """Add all of these at once, or none: where there is no room for all, say how many fit."""
    from telemhq_agents.delivery import judging  # noqa: PLC0415 - httpx: 90 ms

    before = judging.rules(api, tracker_id)
    held = before.rules.assertions
    room = MOST_ASSERTIONS - len(held)
    if len(wanted) > room:
        names = ", ".join(shown.sentence(one) for one in wanted)
        raise UsageError(
            f"Nothing was added: of {MOST_ASSERTIONS} assertions {room} are free, and"
            f" {len(wanted)} are suggested ({names}).",
            "Add those you want one by one (telemhq assertion add), or remove others first.",
        )
    if not wanted:
        return []
    change = {"assertions": [asdict(one) for one in (*held, *wanted)]}
    changed = judging.change_rules(api, tracker_id, change, before.revision)
    return changed.rules.assertions[len(held) :]


def assertion_of(path: str, operator: str, value: str, *, warn: bool = False) -> Assertion:
    """Read an assertion as it is written on a command line. Raises UsageError."""
    compares = operator_of(operator)
    severity = Severity.WARN if warn else Severity.FAIL
    return Assertion(path, compares, value_of(value, compares), severity)


def operator_of(text: str) -> Operator:
    """Read an operator by its name or its symbol. Raises UsageError."""
    found = OPERATORS.get(text.strip().lower())
    if found is None:
        hint = did_you_mean(text, OPERATORS)
        symbols = " ".join(shown.SYMBOLS.values())
        raise UsageError(f"Unknown operator {text!r}: one of {symbols}{hint}")
    return found


def value_of(text: str, operator: Operator) -> Any:  # noqa: ANN401 - JSON
    """Read a value: a pattern as it is written, else JSON, else text; a,b,c for a list."""
    if operator is Operator.REGEX:
        return text
    value = _json_or_text(text)
    if operator is Operator.ONE_OF and not isinstance(value, list):
        return [_json_or_text(part.strip()) for part in text.split(",")]
    return value


def chosen(assertions: Sequence[Assertion], wanted: str) -> Assertion:
    """Return the assertion of this id, or the only one of this path. Raises UsageError."""
    named = [one for one in assertions if one.id == wanted] or [
        one for one in assertions if one.path == wanted
    ]
    if not named:
        known = [text for one in assertions for text in (one.path, one.id)]
        raise UsageError(
            missed(f"There is no assertion {wanted!r} here", wanted, known),
            "telemhq assertion list TRACKER shows them.",
        )
    if len(named) > 1:
        ids = ", ".join(f"{one.id} ({shown.sentence(one)})" for one in named)
        raise UsageError(f"{len(named)} assertions are about {wanted!r}.", f"Name one by id: {ids}")
    return named[0]


def _change(
    known: Assertion, path: str | None, operator: str | None, value: str | None, warn: bool | None
) -> dict[str, Any]:
    compares = known.operator if operator is None else operator_of(operator)
    change: dict[str, Any] = {"operator": compares.value}
    if path is not None:
        change["path"] = path
    if value is not None:
        change["value"] = value_of(value, compares)
    if warn is not None:
        change["severity"] = (Severity.WARN if warn else Severity.FAIL).value
    return change


def _json_or_text(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_float)
    except (ValueError, RecursionError):
        return text


def _no_number(text: str) -> float:
    raise ValueError(text)  # NaN and Infinity are no JSON: they are read as text


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise UsageError(f"{text} is beyond any number that can be compared.")
    return number


def _show(assertion: Assertion, *, as_json: bool) -> None:
    if as_json:
        show_json(assertion)
    else:
        say(f"{assertion.id}: {shown.sentence(assertion)}")
