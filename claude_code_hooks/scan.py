"""Reads what is new in Claude Code's transcripts and books it, file by file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from claude_code_hooks import transcript
from claude_code_hooks.read import is_of_this_rule, read
from telemhq_agents import tail
from telemhq_agents.collecting import LedgerPort, Namer, Plan, ScanReport, collect
from telemhq_agents.reading import Job
from telemhq_agents.usage import Place, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from claude_code_hooks.transcript import Transcript
    from telemhq_agents.ledger.records import Cursor


def scan(
    ledger: LedgerPort,
    homes: Sequence[Path],
    namer: Namer,
    *,
    now_ms: int,
    only: Collection[Path] | None = None,
) -> ScanReport:
    """Book what the transcripts below `homes` hold beyond the ledger's cursors.

    `only` narrows the scan to these transcripts and their sub-agents'. A file that cannot be read
    becomes a problem of the report; one that vanished meanwhile is left to the next scan.
    """
    cursors = ledger.cursors(Source.CLAUDE)
    planned = plan(cursors, homes, namer, now_ms=now_ms, only=only)
    return collect(ledger, [planned])[Source.CLAUDE]


def plan(
    cursors: Mapping[str, Cursor],
    homes: Sequence[Path],
    namer: Namer,
    *,
    now_ms: int,
    only: Collection[Path] | None = None,
) -> Plan:
    """Find what changed since these cursors were taken; arguments as of `scan`."""
    if only is None:
        found, problems = transcript.discover(homes)
    else:
        found, problems = transcript.around(homes, only)
    names = _Names(namer)
    jobs = [
        Job(
            str(log.each.path),
            log.unread_bytes,
            partial(read, log.each, log.seen, log.known, names, now_ms),
        )
        for log in changed(found, cursors, problems)
    ]
    return Plan(Source.CLAUDE, len(found), jobs, problems)


class ChangedLog(NamedTuple):
    """A transcript that was written to since `known` was taken; nobody opened it yet."""

    each: Transcript
    seen: tail.Identity
    known: Cursor | None

    @property
    def unread_bytes(self) -> int:
        """How much there is to read, where the file only grew."""
        known = self.known
        behind = known.offset if known and known.inode == self.seen.inode else 0
        return max(0, self.seen.size - behind)


def changed(
    found: Sequence[Transcript], cursors: Mapping[str, Cursor], problems: list[str]
) -> list[ChangedLog]:
    """Return the files that changed, the longest untouched first.

    Where two files tell of one reply with the same rank and time, the one booked first has it, and
    a copy is written to more recently than what it was copied from.
    """
    logs = []
    for each in found:
        known = cursors.get(each.file_key)
        try:
            seen = tail.glance(each.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{each.path}: {error.strerror or error}")
            continue
        if known is None or not (tail.unchanged(known, seen) and is_of_this_rule(known)):
            logs.append((seen.mtime_ns, each.file_key, ChangedLog(each, seen, known)))
    logs.sort(key=itemgetter(0, 1))
    return [log for _, _, log in logs]


@dataclass(slots=True)
class _Names:
    """Asks the namer once per directory and scan."""

    namer: Namer
    known: dict[str, Place] = field(default_factory=dict)

    def place(self, cwd: str, repository: str = "") -> Place:
        if cwd not in self.known:
            self.known[cwd] = self.namer.place(cwd, repository)
        return self.known[cwd]
