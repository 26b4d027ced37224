"""The usage report: sums from the store, named and put in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.usage_window import (
    day_label,
    hour_label,
    month_label,
    offset_spans,
    week_label,
)
from server_stub.store import accounts, trackers, usage
from telemhq_agents.contract.usage_report import UsageReport, UsageRow, sum_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from zoneinfo import ZoneInfo

    from server_stub.domain.usage_question import UsageQuestion
    from server_stub.store.engine import Store
    from server_stub.store.usage import Key, Sums
    from telemhq_agents.contract.amounts import Amounts

_OF_DAYS = {"day": day_label, "week": week_label, "month": month_label}


@dataclass(frozen=True, slots=True)
class Names:
    """What the members and trackers of a report are called, by id."""

    members: Mapping[int, str]
    trackers: Mapping[int, str]


def usage_report(store: Store, question: UsageQuestion, zone: ZoneInfo) -> UsageReport:
    """Answer a question from the quarter-hour sums, all of it from one snapshot.

    Members are named by e-mail, trackers by name (with the id in brackets where the report holds
    two of one name), days and hours in local time. Groups whose figures are all zero, as when
    corrections moved everything elsewhere, are left out.
    """
    with store.read() as connection:
        bounds = usage.extent(connection, question)
        if bounds is None:
            return sum_rows(question.group_by, [])
        spans = offset_spans(zone, *bounds) if question.needs_local_time else ()
        sums = [one for one in usage.sums(connection, question, spans) if one.amounts]
        names = Names(
            accounts.emails(connection, question.account_id),
            trackers.names(connection, question.account_id),
        )
    told_apart = _told_apart(question.group_by, sums, names)
    rows = [_row(question.group_by, one, told_apart) for one in sums]
    return sum_rows(question.group_by, _merged(rows))


def _merged(rows: Iterable[UsageRow]) -> list[UsageRow]:
    """Add up rows of one name: the days of a week or a month."""
    found: dict[tuple[str, ...], Amounts] = {}
    for row in rows:
        known = found.get(row.keys)
        found[row.keys] = row.amounts if known is None else known + row.amounts
    return [UsageRow(keys, amounts) for keys, amounts in found.items() if amounts]


def _row(group_by: tuple[str, ...], sums: Sums, names: Names) -> UsageRow:
    keyed = zip(group_by, sums.keys, strict=True)
    return UsageRow(tuple(_label(group, key, names) for group, key in keyed), sums.amounts)


def _label(group: str, key: Key, names: Names) -> str:
    match group, key:
        case _, int(day) if group in _OF_DAYS:
            return _OF_DAYS[group](day)
        case "hour", (int(hour), int(offset_ms)):
            return hour_label(hour, offset_ms)
        case "member", int(member_id):
            return names.members[member_id]
        case "tracker", int(tracker_id):
            return names.trackers[tracker_id]
        case _:
            return str(key)


def _told_apart(group_by: tuple[str, ...], sums: Sequence[Sums], names: Names) -> Names:
    """Add its id to the name of each tracker that shares it with another one of this report."""
    if "tracker" not in group_by:
        return names
    place = group_by.index("tracker")
    shown: Collection[Key] = {one.keys[place] for one in sums}
    uses = Counter(name for tracker_id, name in names.trackers.items() if tracker_id in shown)
    labels = {
        tracker_id: f"{name} ({tracker_id})" if uses[name] > 1 else name
        for tracker_id, name in names.trackers.items()
    }
    return Names(names.members, labels)
