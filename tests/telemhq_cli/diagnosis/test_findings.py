"""What the doctor makes of what it saw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telemhq_cli.diagnosis import findings
from telemhq_cli.diagnosis.finding import Finding, Severity, worst
from telemhq_cli.diagnosis.judging import agent, delivery, logs, program, storage
from telemhq_cli.diagnosis.seen import (
    AgentSeen,
    CursorsSeen,
    HookSeen,
    InstallationSeen,
    KeyringSeen,
    LogsSeen,
    OutboxSeen,
    ServerSeen,
    ServiceSeen,
    SettingsSeen,
    Snapshot,
    StorageSeen,
    Trouble,
)

NOW = 1_795_000_000_000
MINUTE, HOUR = 60_000, 3_600_000
PROGRAM = InstallationSeen("1.2", "3.11.9", "/v/bin/python", "/v/telemhq_cli", "3.40")
HEALTHY_HOOK = HookSeen(
    claude_is_here=True,
    is_installed=True,
    is_current=True,
    settings="~/.claude/settings.json",
    last_ms=NOW - 3 * MINUTE,
)
HEALTHY = Snapshot(
    now_ms=NOW,
    platform="linux",
    agent=AgentSeen(is_running=True, pid=12, last_pass_ms=NOW - 5000, watching_by="notifications"),
    service=ServiceSeen(
        "systemd", is_proven=True, is_installed=True, is_current=True, is_active=True
    ),
    hook=HEALTHY_HOOK,
    logs=(LogsSeen("codex", "/h/.codex/sessions", is_there=True, files=2, size=1_500_000),),
    cursors=(CursorsSeen("codex", 2, 0, 0),),
    sends_to=(("codex", "Codex on laptop"), ("claude", "")),
    server=ServerSeen("https://s", took_ms=34, ahead_ms=0),
    installation=replace(PROGRAM, on_path="/v/bin/telemhq", is_on_path=True, claude="2.1.3"),
    settings=SettingsSeen("/c/config.toml"),
    keyring=KeyringSeen("SecretService", in_file=("default",)),
    storage=StorageSeen("/d", 41_000_000_000, 12_300_000),
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
    assert found["last event"][1] == "The hook last told of something 3 min 00 s ago."
    assert found["cursors"][1] == "codex: 2 logs read to the end."
    assert found["server"][1] == "https://s answers in 34 ms, and takes the key."
    assert found["disk"][1] == "41.0 GB are free in /d; the ledger takes 12.3 MB."
    assert "telemhq 1.2 in /v/telemhq_cli; Python 3.11.9" in found["program"][1]


def test_every_finding_has_the_theme_under_which_it_is_shown() -> None:
    themes = {one.name: one.theme.value for one in findings.findings(HEALTHY)}

    assert themes["program"] == "This program"
    assert themes["agent"] == "The background agent"
    assert themes["hook"] == themes["logs"] == "Coding agents on this machine"
    assert themes["outbox"] == themes["clock"] == "On the way to a server"
    assert themes["disk"] == "On disk"


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
        (
            {"spool_damaged": 2, "spool_place": "/d/spool"},
            "spool damage",
            "warning",
            "nobody can read them: 2",
            "ls /d/spool/damaged",
        ),
        (
            {"outbox": OutboxSeen(pending=4, oldest_ms=NOW - MINUTE)},
            "outbox",
            "note",
            "4 pings, the oldest for 1 min 00 s.",
            "",
        ),
        (
            {"outbox": OutboxSeen(pending=1, oldest_ms=NOW - 61 * MINUTE)},
            "outbox",
            "warning",
            "1 ping, the oldest for 1 h 01 min.",
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
        (
            {"agent": AgentSeen(), "sends_to": (("codex", ""),)},
            "agent",
            "warning",
            "logs are read when you ask",
            "telemhq agent logs",
        ),
        (
            {"agent": AgentSeen(), "sends_to": (), "service": Trouble("no systemd")},
            "agent",
            "note",
            "logs are read when you ask",
            "telemhq agent run",
        ),
        (
            {"server": ServerSeen("https://s", is_skipped=True)},
            "server",
            "ok",
            "was not asked (--offline)",
            "",
        ),
        ({"server": ServerSeen("u", ahead_ms=5_000)}, "clock", "ok", "agrees", ""),
        ({"server": ServerSeen("u", ahead_ms=9_000)}, "clock", "note", "9.0 s behind", "ntp"),
        (
            {"server": ServerSeen("u", ahead_ms=-5 * MINUTE)},
            "clock",
            "warning",
            "5 min 00 s ahead of the server's",
            "sudo timedatectl set-ntp true",
        ),
        (
            {"cursors": (CursorsSeen("codex", 4, 3, 2_500_000),), "agent": AgentSeen()},
            "cursors",
            "note",
            "codex: 3 of 4 logs not read to the end yet, 2.5 MB to go",
            "telemhq agent once",
        ),
        (
            {"cursors": (CursorsSeen("codex", 4, 3, 2_500),)},
            "cursors",
            "ok",
            "2.5 kB to go",
            "",
        ),
        (
            {"hook": replace(HEALTHY_HOOK, last_ms=None)},
            "last event",
            "note",
            "has told of nothing yet",
            "telemhq claude status",
        ),
        (
            {
                "hook": replace(HEALTHY_HOOK, last_ms=NOW - 50 * HOUR),
                "logs": (LogsSeen("claude", "/c", is_there=True, newest_ms=NOW - 25 * HOUR),),
            },
            "last event",
            "warning",
            "50 h 00 min ago, but Claude Code has worked since",
            "telemhq claude status",
        ),
        (
            {
                "hook": replace(HEALTHY_HOOK, last_ms=NOW - 50 * HOUR),
                "logs": (LogsSeen("codex", "/c", is_there=True, newest_ms=NOW),),
            },
            "last event",
            "ok",
            "50 h 00 min ago.",
            "",
        ),
        (
            {"installation": replace(PROGRAM, on_path="", is_on_path=False)},
            "path",
            "note",
            "does not find telemhq",
            'export PATH="/v/bin:$PATH"',
        ),
        (
            {"installation": replace(PROGRAM, on_path="/usr/bin/telemhq", is_on_path=False)},
            "path",
            "warning",
            "another telemhq than this one: /usr/bin/telemhq",
            "/usr/bin/telemhq --version",
        ),
        (
            {"settings": SettingsSeen("/c", (("coalesce", "5m", "/c, line 3"),))},
            "settings",
            "ok",
            "Settings: coalesce 5m (/c, line 3).",
            "",
        ),
        (
            {"settings": SettingsSeen("/c", trouble=Trouble("/c, line 3: bad", "Correct /c."))},
            "settings",
            "error",
            "line 3",
            "Correct /c.",
        ),
        (
            {"settings": SettingsSeen("/c", project=Trouble("x/.telemhq.toml, line 1", "y"))},
            "project file",
            "warning",
            ".telemhq.toml, line 1",
            "y",
        ),
        (
            {"keyring": KeyringSeen("", holds=("work",), missing=("work",))},
            "keyring",
            "error",
            "The keyring (none) does not hold the key of 'work'",
            "telemhq login --profile work",
        ),
        (
            {"keyring": KeyringSeen("SecretService", holds=("work",))},
            "keyring",
            "ok",
            "The keyring (SecretService) holds 1 key.",
            "",
        ),
        ({"keyring": KeyringSeen()}, "keyring", "ok", "there is no keyring here", ""),
        ({"storage": StorageSeen("/d", 999_999_999, 0)}, "disk", "warning", "1,000.0 MB", "df"),
        ({"storage": StorageSeen("/d", 49_999_999, 1)}, "disk", "error", "50.0 MB", "df -h /d"),
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
        for room in (agent, delivery, logs, program, storage)
        for name, value in vars(room).items()
        if getattr(value, "__annotations__", {}).get("seen") == "Snapshot"
    }

    listed = [tell.__name__ for tellers in findings.FINDINGS.values() for tell in tellers]
    assert set(listed) == defined
    assert len(listed) == len(set(listed))
    assert [one.value for one in Severity] == ["ok", "note", "warning", "error"]


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ((), "ok"),
        (("ok", "note"), "note"),
        (("warning", "ok"), "warning"),
        (("note", "error", "warning"), "error"),
    ],
)
def test_the_worst_finding_is_the_one_that_counts(
    severities: tuple[str, ...], expected: str
) -> None:
    assert worst([Finding("x", Severity(one), "") for one in severities]).value == expected


@pytest.mark.parametrize(
    "change",
    [{"spool_damaged": 1}, {"spool_is_full": True}, {"hook": replace(HEALTHY_HOOK, ended=1)}],
)
def test_that_nothing_was_lost_is_said_only_where_it_is_so(change: dict[str, object]) -> None:
    assert told(HEALTHY)["lost entries"][0] == "ok"
    assert "lost entries" not in told(replace(HEALTHY, **change))  # type: ignore[arg-type] # - cases
