"""A usage report as a table for people. Pure, but for what the screen can show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from telemhq_cli.render.bars import bar
from telemhq_cli.render.table import EXTRA, Column, Table
from telemhq_cli.render.words import compact, cost, money, whole
from telemhq_cli.reports.comparing import fate, figure_of, percent
from telemhq_cli.reports.lines import NOTHING
from telemhq_cli.reports.ordering import cache_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from telemhq_agents.contract.amounts import Amounts
    from telemhq_cli.reports.lines import Line, Shown

Row = tuple[object, ...]

UNKNOWN = "(none)"
"""How an empty group key reads."""
BLANK = " "
ESTIMATED = "~"
LONG_BAR, SHORT_BAR = 8, 6
_FEW = 10


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that is marked where it is an estimate."""

    number: int
    is_estimated: bool = False


def table_of(
    shown: Shown, *, title: str = "", notes: tuple[str, ...] = (), empty: str = ""
) -> Table:
    """Return a report as a table; a column that a narrow screen has no room for is spare."""
    figures = _beside(shown) if shown.is_compared else _plain(shown)
    keys = tuple(Column(name, name.capitalize(), _named) for name in shown.group_by)
    rows: list[Row] = [(*_keys(line), *_cells(figures, line)) for line in shown.lines]
    total: Row | None = (*_total_keys(shown.group_by), *_cells(figures, shown.total))
    if not shown.group_by:
        keys = (Column("total", ""),)
        rows, total = [("Total", *_cells(figures, shown.total))], None
    columns = (*keys, *(column for column, _ in figures))
    return Table(columns, rows, total, title=title, notes=notes, empty=empty)


_Figures = tuple[tuple[Column, "Callable[[Line], object]"], ...]


def _cells(figures: _Figures, line: Line) -> list[object]:
    return [value(line) for _, value in figures]


def _plain(shown: Shown) -> _Figures:
    measure = figure_of(shown.total.amounts, None)
    failed = 0 if shown.total.amounts.failures else 7
    share = ((_share_column(), _share_of(measure, shown.total.amounts)),) if shown.group_by else ()
    return (
        (_count("runs", "Runs"), lambda line: line.amounts.runs),
        (_count("failures", "Failed", failed, grudged=3), lambda line: line.amounts.failures),
        (_count("responses", "Responses", EXTRA + 4), lambda line: line.amounts.responses),
        (_count("input_tokens", "Input", grudged=2), lambda line: line.amounts.input_tokens),
        (_count("cached_input_tokens", "Cached", 8), lambda line: line.amounts.cached_input_tokens),
        (_column("cache_share", "Cache %", _percents, EXTRA + 2), cache_share),
        (
            _count("cache_write_tokens", "Written", EXTRA + 5),
            lambda line: line.amounts.cache_write_tokens,
        ),
        (
            Column("output_tokens", "Output", _long, is_figure=True, grudged=1, short=_short),
            lambda line: Figure(line.amounts.output_tokens, line.is_estimated),
        ),
        (
            _count("reasoning_tokens", "Reasoning", EXTRA + 6),
            lambda line: line.amounts.reasoning_tokens,
        ),
        (
            Column("total_tokens", "Tokens", _long, is_figure=True, spare=EXTRA + 1, short=_short),
            lambda line: Figure(line.amounts.total_tokens, line.is_estimated),
        ),
        (_column("cost_usd", "Cost", str), _cost_now),
        (_column("per_run", "Per run", str, EXTRA + 3), _per_run),
        *share,
    )


def _beside(shown: Shown) -> _Figures:
    """Return the columns of a report beside the one before: all of the figure that it is about."""
    now, before = shown.total.amounts, shown.total.before or NOTHING
    is_money = figure_of(now, before) == "cost_nano"
    runs = (
        (_count("runs", "Runs", 2), lambda line: line.amounts.runs),
        (_signed("change_runs", "+/-", EXTRA + 3), lambda line: line.change.runs),
    )
    tokens: _Figures = (
        (
            Column("total_tokens", "Tokens", _long, is_figure=True, spare=3, short=_short),
            lambda line: Figure(line.amounts.total_tokens, line.is_estimated),
        ),
        (
            Column(
                "before_total_tokens",
                "Before",
                _long,
                is_figure=True,
                spare=EXTRA + 1 if is_money else 1,
                short=_short,
            ),
            lambda line: Figure((line.before or NOTHING).total_tokens, line.was_estimated),
        ),
        (
            _signed("change_total_tokens", "Change", EXTRA + 2 if is_money else 0),
            lambda line: line.change.total_tokens,
        ),
        (
            _column("change_percent_total_tokens", "%", str, EXTRA if is_money else 0),
            lambda line: _grown(line, "total_tokens"),
        ),
    )
    costs: _Figures = (
        (_column("cost_usd", "Cost", str), _cost_now),
        (_column("before_cost_usd", "Before", str, 1), _cost_before),
        (
            _column("change_cost_usd", "Change", str, grudged=1),
            lambda line: _dearer(line.change.cost_nano),
        ),
        (_column("change_percent_cost_usd", "%", str), lambda line: _grown(line, "cost_nano")),
    )
    return (*runs, *tokens, *(costs if is_money else ()))


def _count(key: str, title: str, spare: int = 0, grudged: int = 0) -> Column:
    return Column(key, title, whole, is_figure=True, spare=spare, grudged=grudged)


def _signed(key: str, title: str, spare: int) -> Column:
    return Column(key, title, _plus(whole), is_figure=True, spare=spare, short=_plus(compact))


def _column(
    key: str, title: str, reads: Callable[[Any], str], spare: int = 0, grudged: int = 0
) -> Column:
    return Column(key, title, reads, is_figure=True, spare=spare, grudged=grudged)


def _share_column() -> Column:
    return Column("share", "Share", _long_bar, spare=6, short=_short_bar, is_picture=True)


def _share_of(measure: str, total: Amounts) -> Callable[[Line], object]:
    whole_of_it = getattr(total, measure)

    def share(line: Line) -> float | None:
        if not line.keys or whole_of_it <= 0:
            return None
        return float(getattr(line.amounts, measure) / whole_of_it)

    return share


def _long_bar(share: float | None) -> str:
    return "" if share is None else f"{bar(share, LONG_BAR):<{LONG_BAR}} {share:>4.0%}"


def _short_bar(share: float | None) -> str:
    return "" if share is None else bar(share, SHORT_BAR)


def _long(figure: Figure) -> str:
    return f"{ESTIMATED if figure.is_estimated else ''}{whole(figure.number)}"


def _short(figure: Figure) -> str:
    return f"{ESTIMATED if figure.is_estimated else ''}{compact(figure.number)}"


def _percents(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _cost_now(line: Line) -> str:
    return _marked(line.amounts, is_estimated=line.is_estimated)


def _cost_before(line: Line) -> str:
    return _marked(line.before or NOTHING, is_estimated=line.was_estimated)


def _marked(amounts: Amounts, *, is_estimated: bool) -> str:
    mark = ESTIMATED if is_estimated and amounts.cost_nano else ""
    return f"{mark}{cost(amounts.cost_nano, amounts.unpriced_tokens)}"


def _per_run(line: Line) -> str:
    amounts = line.amounts
    if not amounts.runs:
        return ""
    one = replace(amounts, cost_nano=round(amounts.cost_nano / amounts.runs))
    return _marked(one, is_estimated=line.is_estimated)


def _dearer(nano: int) -> str:
    return f"+{money(nano)}" if nano > 0 else money(nano)


def _plus(reads: Callable[[int], str]) -> Callable[[int], str]:
    return lambda number: f"+{reads(number)}" if number > 0 else reads(number)


def _grown(line: Line, measure: str) -> str:
    word = fate(line)
    if word:
        return word
    before, now = getattr(line.before or NOTHING, measure), getattr(line.amounts, measure)
    grown = percent(now, before)
    if grown is None:
        return "n/a" if now else ""
    if abs(grown) >= _FEW or not grown:
        return f"{grown:+,.0f}%" if grown else "0%"
    return f"{grown:+.1f}%"


def _named(key: str) -> str:
    return key or UNKNOWN


def _keys(line: Line) -> Sequence[str]:
    if not line.others:
        return line.keys
    others = f"({whole(line.others)} {'others' if line.others > 1 else 'other'})"
    return [others if at == 0 else BLANK for at in range(len(line.keys))]


def _total_keys(group_by: Sequence[str]) -> list[str]:
    return ["Total" if at == 0 else BLANK for at in range(len(group_by))]
