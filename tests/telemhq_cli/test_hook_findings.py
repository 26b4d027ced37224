"""What `telemhq doctor` says when the hook was not heard, or may not speak."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from claude_code_hooks import hook
from telemhq_agents import clock, spool
from telemhq_cli.diagnosis.finding import Severity
from telemhq_cli.diagnosis.judging import delivery, logs
from telemhq_cli.diagnosis.seen import HookSeen, Snapshot, Trouble
from tests.envelopes import data_of
from tests.telemhq_cli.logs import ClaudeSession

if TYPE_CHECKING:
    from tests.telemhq_cli.conftest import Machine

SETTINGS = "/home/dev/.claude/settings.json"


def seen(hook: HookSeen | Trouble, waiting: int = 0, *, is_full: bool = False) -> Snapshot:
    return Snapshot(
        now_ms=1_795_000_000_000,
        platform="linux",
        hook=hook,
        spool_waiting=waiting,
        spool_is_full=is_full,
    )


def installed(ended: int = 0, announced: int = 0, silenced_by: tuple[str, ...] = ()) -> HookSeen:
    return HookSeen(
        claude_is_here=True,
        is_installed=True,
        is_current=True,
        settings=SETTINGS,
        ended=ended,
        announced=announced,
        silenced_by=silenced_by,
    )


def test_turns_that_no_hook_told_of_are_counted_and_not_lost() -> None:
    told = logs.hook_tells_of_every_turn(seen(installed(40, 37)))

    assert told is not None
    assert told.severity is Severity.NOTE
    assert told.message.startswith("3 of 40 turns were not announced by the hook")


@pytest.mark.parametrize(
    "snapshot",
    [
        seen(installed(40, 40)),
        seen(installed(40, 37), waiting=2),
        seen(replace(installed(40, 0), is_installed=False)),
        seen(Trouble("the settings are damaged")),
    ],
    ids=["all announced", "some still wait", "not installed", "nobody knows"],
)
def test_of_turns_that_may_be_announced_nothing_is_said(snapshot: Snapshot) -> None:
    assert logs.hook_tells_of_every_turn(snapshot) is None


def test_what_silences_the_hook_is_said_where_there_is_one() -> None:
    told = logs.hook_is_let_run(seen(installed(silenced_by=("a says no.", "b too."))))

    assert told is not None
    assert (told.message, told.severity) == ("a says no. b too.", Severity.WARNING)
    assert logs.hook_is_let_run(seen(installed())) is None
    missing = replace(installed(silenced_by=("a says no.",)), is_installed=False)
    assert logs.hook_is_let_run(seen(missing)) is None


def test_a_full_spool_is_said() -> None:
    told = delivery.spool_has_room(seen(installed(), is_full=True))

    assert told is not None
    assert told.next_step == "telemhq agent once"
    assert delivery.spool_has_room(seen(installed())) is None


def told_by_doctor(machine: Machine) -> dict[str, str]:
    document = data_of(machine.run("doctor", "--json").stdout)
    return {one["name"]: one["message"] for one in document["findings"]}


def test_doctor_says_how_much_the_hook_missed(machine: Machine) -> None:
    machine.run("claude", "install", "--claude-version", "2.1.328")
    session = ClaudeSession(machine.home / "claude")
    now_ms = clock.now_ms()
    prompts = [session.prompt(now_ms + number * 1000, 100, 10) for number in (1, 2)]
    machine.run("claude", "scan")
    assert told_by_doctor(machine)["unannounced turns"].startswith("2 of 2 turns")

    entry = hook.redact(session.event("UserPromptSubmit", prompts[0]), now_ms)
    spool.write(machine.spool, entry)
    assert "unannounced turns" not in told_by_doctor(machine)
    machine.run("agent", "once")

    assert told_by_doctor(machine)["unannounced turns"].startswith("1 of 2 turns")
