"""A name that is nearly right is asked about, wherever something is called by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer


@pytest.fixture
def ada(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    """An owner with a tracker `nightly import`, what belongs to it, a team and a second login."""
    key = server.api_key + "\n"
    telemhq("login", "--url", server.url, "--key-stdin", given=key)
    telemhq("team", "create", "Engines")
    telemhq("tracker", "create", "nightly import")
    telemhq("assertion", "add", "nightly import", "usage.rows", ">", "0")
    telemhq("webhook", "add", "nightly import", "https://hooks.example.com/in")
    telemhq("mail", "add", "nightly import", "ops@example.com")
    telemhq("status-page", "create", "All is well", "nightly import")
    telemhq("login", "--url", server.url, "--key-stdin", "--profile", "work", given=key)
    return telemhq


NEARLY = [
    (["tracker", "show", "nigthly import"], 2, "nightly import"),
    (["tracker", "runs", "Nightly Import"], 2, "nightly import"),
    (["tracker", "delete", "nightly imports", "--yes"], 2, "nightly import"),
    (["ping", "nightly imporr"], 2, "nightly import"),
    (["tracker", "list", "--team", "Engine"], 2, "Engines"),
    (["tracker", "list", "--profile", "wrok"], 4, "work"),
    (["usage", "--mine", "--tracker", "nightly inport"], 2, "nightly import"),
    (["usage", "--team", "--member", "ad@example.com"], 2, "ada@example.com"),
    (["tracker", "export", "nightly inport"], 5, "nightly import"),
    (["assertion", "remove", "nightly import", "usage.row"], 2, "usage.rows"),
    (["assertion", "add", "nightly import", "x", "equls", "1"], 2, "equals"),
    (
        ["webhook", "remove", "nightly import", "https://hook.example.com/in"],
        2,
        "https://hooks.example.com/in",
    ),
    (["mail", "remove", "nightly import", "opps@example.com"], 2, "ops@example.com"),
    (["status-page", "remove", "All is wel"], 2, "All is well"),
]


def test_each_name_that_is_nearly_right_is_asked_about(ada: CommandLine) -> None:
    said = {tuple(arguments): ada(*arguments, code=code).complaint for arguments, code, _ in NEARLY}

    for arguments, _, meant in NEARLY:
        assert f"; did you mean {meant!r}?" in said[tuple(arguments)], said[tuple(arguments)]


def test_a_name_like_no_other_is_not_asked_about(ada: CommandLine) -> None:
    done = ada("tracker", "show", "shoe size", code=2)

    assert done.err == "telemhq: There is no tracker 'shoe size' here.\n  telemhq tracker list\n"


def test_a_ping_that_nobody_can_be_asked_about_is_compared_with_what_is_known(
    ada: CommandLine,
) -> None:
    ada("tracker", "list")
    path = ada.machine.ours / "credentials.json"
    path.write_text(path.read_text().replace('"keyring": false', '"keyring": true'))

    done = ada("ping", "nightly inport", code=4)

    assert "does not know the tracker 'nightly inport'; did you mean 'nightly import'?" in (
        done.complaint
    )
