"""No version is given an event that voids its settings file."""

from __future__ import annotations

import pytest

from claude_code_hooks.events import EVENTS, OF_TOOLS, events_for

# What each version knows is the vendor's changelog's, not the table under test.
KNOWN_TO = {
    "1.0.38": {"Stop", "PostToolUse"},
    "1.0.41": {"Stop", "PostToolUse", "SubagentStop"},
    "1.0.53": {"Stop", "PostToolUse", "SubagentStop"},
    "1.0.54": {"Stop", "PostToolUse", "SubagentStop", "UserPromptSubmit"},
    "1.0.62": {"Stop", "PostToolUse", "SubagentStop", "UserPromptSubmit", "SessionStart"},
}
SINCE_SESSION_END = KNOWN_TO["1.0.62"] | {"SessionEnd"}


@pytest.mark.parametrize(
    ("version", "events"),
    [
        *KNOWN_TO.items(),
        ("1.0.85", SINCE_SESSION_END),
        ("2.0.44", SINCE_SESSION_END),
        ("2.0.45", SINCE_SESSION_END | {"PermissionRequest"}),
        ("2.1.75", SINCE_SESSION_END | {"PermissionRequest"}),
        ("2.1.76", SINCE_SESSION_END | {"PermissionRequest", "PostCompact"}),
        ("2.1.100", SINCE_SESSION_END | {"PermissionRequest", "PostCompact", "StopFailure"}),
        ("2.1.101", set(EVENTS)),
        ("2.1.328", set(EVENTS)),
        ("10.0.0", set(EVENTS)),
    ],
)
def test_a_version_gets_what_it_knows(version: str, events: set[str]) -> None:
    assert set(events_for(version)) == events


@pytest.mark.parametrize("version", ["", "unknown", "2.1", "v2"])
def test_an_unknown_version_gets_what_every_version_with_hooks_knows(version: str) -> None:
    assert events_for(version) == ("Stop", "PostToolUse")


@pytest.mark.parametrize("version", ["", "1.0.90", "2.1.80", "2.1.328"])
def test_without_tools_there_are_none(version: str) -> None:
    events = events_for(version, tools=False)

    assert not set(events) & {"PostToolUse", "PostToolUseFailure", "PermissionRequest"}
    assert set(events) == set(events_for(version)) - set(OF_TOOLS)


def test_the_event_that_could_block_a_tool_is_never_asked_for() -> None:
    assert "PreToolUse" not in EVENTS
    assert len(EVENTS) == len(set(EVENTS)) == 10
