"""What a usage report asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server_stub.domain.usage_window import Window
from telemhq_agents.contract.usage_report import GROUPS, TIME_GROUPS
from telemhq_agents.errors import UsageError
from telemhq_agents.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

SESSION_GROUPS = frozenset({"session", "thread"})
"""Groups that only the session roll-up can tell apart."""


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """One report: whose buckets, which of them, and by what they are told apart.

    An empty filter lets everything pass; the values of one filter are alternatives.
    """

    account_id: int
    group_by: tuple[str, ...] = ()
    window: Window = field(default_factory=Window)
    member_ids: tuple[int, ...] = ()
    tracker_ids: tuple[int, ...] = ()
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def needs_sessions(self) -> bool:
        """Whether the plain buckets are too coarse for this question."""
        return not SESSION_GROUPS.isdisjoint(self.group_by)

    @property
    def needs_local_time(self) -> bool:
        """Whether the answer depends on the time zone."""
        return not TIME_GROUPS.isdisjoint(self.group_by)


def read_groups(values: Iterable[str]) -> tuple[str, ...]:
    """Read `group_by`, given repeatedly or with commas. Raises UsageError."""
    names = tuple(name for value in values for name in value.split(",") if name)
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        hint = did_you_mean(unknown[0], GROUPS)
        raise UsageError(
            f"there is no group {unknown[0]!r}{hint}", f"Choose from {', '.join(GROUPS)}."
        )
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UsageError(f"the group {repeated[0]!r} is given twice", "Name each group once.")
    return names
