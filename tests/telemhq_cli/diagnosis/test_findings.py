"""What the doctor makes of what it saw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telemhq_cli.diagnosis import findings
from telemhq_cli.diagnosis.findings import Severity
from telemhq_cli.diagnosis.seen import (
    AgentSeen,
    HookSeen,
    LogsSeen,
    OutboxSeen,
    ServerSeen,
    ServiceSeen,
    Snapshot,
    Trouble,
)

NOW = 1_795_000_000_000
MINUTE = 60_000
HEALTHY = Snapshot(
    now_ms=NOW,
    platform="linux",
    agent=AgentSeen(is_running=True, pid=12, last_pass_ms=NOW - 5000, watching_by="notifications"),
    service=ServiceSeen(
        "systemd", is_proven=True, is_installed=True, is_current=True, is_active=True
    ),
    hook=HookSeen(
        claude_is_here=True, is_installed=True, is_current=True, settings="~/.claude/settings.json"
    ),
    logs=(LogsSeen("codex", "/h/.codex/sessions", is_there=True, files=2, size=1_500_000),),
    sends_to=(("codex", "Codex on laptop"), ("claude", "")),
)


def told(seen: Snapshot) -> dict[str, tuple[str, str, str]]:
    return {
        one.name: (one.severity.value, one.message, one.next_step)
        for one in findings.findings(seen)
    }


def test_a_healthy_machine_has_nothing_but_good_news() -> None:
    found = told(HEALTHY)

    assert {severity for severity, _, _ in found.values()} == {"ok"}
    assert found["agent"][1] == "The agent runs (process 12)."
    assert found["logs"][1] == "codex: 2 logs, 1.5 MB in /h/.codex/sessions"
    assert found["login"][1] == "Usage goes: codex to Codex on laptop."
    assert found["last pass"][1] == "The agent last looked 5.0 s ago."


@pytest.mark.parametrize(
    ("change", "name", "severity", "words", "next_step"),
    [
        ({"agent": AgentSeen()}, "agent", "warning", "does not run", "telemhq agent logs"),
        (
            {"agent": AgentSeen(is_running=True, pid=1)},
            "last pass",
            "note",
            "for the first time",
            "",
        ),
        (
            {"agent": AgentSeen(is_running=True, pid=1, last_pass_ms=NOW - 20 * MINUTE)},
            "last pass",
            "warning",
            "last read 20 min 00 s ago",
            "telemhq agent logs",
        ),
        (
            {"agent": AgentSeen(problems=("held by another", "x"))},
            "problems",
            "warning",
            "held by another (and 1 more)",
            "telemhq agent status",
        ),
        (
            {"service": Trouble("no systemd", "by hand")},
            "service",
            "note",
            "no systemd",
            "by hand",
        ),
        ({"spool_waiting": 3}, "spool", "note", "3 entries", "telemhq agent once"),
        ({"spool_waiting": 1, "agent": AgentSeen()}, "spool", "warning", "1 entry.", "agent once"),
        ({"spool_damaged": 2}, "spool damage", "warning", "nobody can read them: 2", ""),
        (
            {"outbox": OutboxSeen(pending=4, oldest_ms=NOW - MINUTE)},
            "outbox",
            "note",
            "4 pings",
            "",
        ),
        (
            {"outbox": OutboxSeen(pending=1, oldest_ms=NOW - 61 * MINUTE)},
            "outbox",
            "warning",
            "oldest is 1 h 01 min old",
            "telemhq agent outbox",
        ),
        ({"outbox": OutboxSeen(parked=1)}, "parked", "error", "1 ping", "telemhq agent outbox"),
        ({"outbox": OutboxSeen(uncertain=2)}, "uncertain", "warning", "2 pings", "agent outbox"),
        ({"outbox": Trouble("torn", "mend it")}, "ledger", "error", "torn", "mend it"),
        ({"logs": ()}, "logs", "note", "No logs", ""),
        (
            {"logs": (LogsSeen("codex", "/c", is_there=True, closed=("/c/x",)),)},
            "closed logs",
            "warning",
            "/c/x",
            "ls -ld /c/x",
        ),
        (
            {"unpriced": (("nimbus", 12_000), ("", 1))},
            "prices",
            "note",
            "nimbus (12,000 tokens), unnamed (1 tokens)",
            "telemhq prices set",
        ),
        ({"sends_to": (("codex", ""),)}, "login", "note", "stays on this machine", "login --url"),
        (
            {"credentials": Trouble("Others may read", "chmod 600 x")},
            "credentials",
            "error",
            "Others may read",
            "chmod 600 x",
        ),
        ({"server": ServerSeen("https://s")}, "server", "ok", "https://s answers", ""),
        (
            {"server": ServerSeen("https://s", Trouble("no answer", "try"))},
            "server",
            "error",
            "no answer",
            "try",
        ),
        ({"hook": Trouble("line 3: bad", "correct")}, "hook", "warning", "line 3: bad", "correct"),
    ],
)
def test_each_trouble_is_told_with_what_mends_it(
    change: dict[str, object], name: str, severity: str, words: str, next_step: str
) -> None:
    found = told(replace(HEALTHY, **change))[name]  # type: ignore[arg-type] # - a table of cases

    assert found[0] == severity
    assert words in found[1]
    assert next_step in found[2]


@pytest.mark.parametrize(
    ("installed", "current", "active", "severity"),
    [
        (False, False, False, "note"),
        (True, False, True, "warning"),
        (True, True, False, "warning"),
        (True, True, True, "ok"),
    ],
)
def test_a_service_is_installed_up_to_date_and_active_or_says_how_to_get_there(
    installed: bool, current: bool, active: bool, severity: str
) -> None:
    service = ServiceSeen(
        "systemd", is_proven=True, is_installed=installed, is_current=current, is_active=active
    )

    found = told(replace(HEALTHY, service=service))["service"]

    assert found[0] == severity
    assert found[2] == ("" if severity == "ok" else "telemhq agent install")


def test_a_platform_that_nobody_has_tried_is_named() -> None:
    service = ServiceSeen(
        "launchd", is_proven=False, is_installed=True, is_current=True, is_active=True
    )

    found = told(replace(HEALTHY, service=service, platform="darwin"))

    assert found["platform"][:2] == (
        "note",
        "The service for launchd is written, but was not yet run there.",
    )
    assert "platform" not in told(HEALTHY)


@pytest.mark.parametrize(("platform", "next_step"), [("linux", "sysctl"), ("darwin", "")])
def test_an_agent_that_polls_says_why(platform: str, next_step: str) -> None:
    agent = AgentSeen(
        is_running=True, pid=1, last_pass_ms=NOW, watching_by="polling", why_polling="no watches"
    )

    found = told(replace(HEALTHY, agent=agent, platform=platform))["watching"]

    assert found[0] == "note"
    assert "no watches" in found[1]
    assert next_step in found[2]


@pytest.mark.parametrize(
    ("here", "installed", "current", "severity"),
    [(True, False, True, "note"), (True, True, False, "warning"), (False, False, True, None)],
)
def test_the_hook_is_missed_only_where_claude_code_is(
    here: bool, installed: bool, current: bool, severity: str | None
) -> None:
    hook = HookSeen(here, installed, current, "settings.json")

    found = told(replace(HEALTHY, hook=hook)).get("hook")

    assert (found[0] if found else None) == severity


def test_no_finding_is_left_out_of_the_list() -> None:
    defined = {
        name
        for name, value in vars(findings).items()
        if getattr(value, "__annotations__", {}).get("seen") == "Snapshot"
    }

    assert {tell.__name__ for tell in findings.FINDINGS} == defined - {"findings"}
    assert [one.value for one in Severity] == ["ok", "note", "warning", "error"]
