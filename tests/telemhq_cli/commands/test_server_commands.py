"""`telemhq server …`: what the people who run a server do beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer


@pytest.fixture
def with_owner(telemhq: CommandLine) -> CommandLine:
    """A command line beside a server that has an owner."""
    telemhq("server", "init", "--email", "ada@example.com", "--name", "Ada")
    return telemhq


def test_an_account_is_given_a_plan_by_its_owners_address(with_owner: CommandLine) -> None:
    before = with_owner.asks("server", "plan", "list")
    given = with_owner.asks("server", "plan", "set", "Ada@example.com", "Free")

    assert [(one["owner"], one["plan"]) for one in before] == [("ada@example.com", "unlimited")]
    assert given == with_owner.asks("server", "plan", "list")
    assert given[0]["plan"] == "free"


def test_everybody_is_given_a_plan_at_once(with_owner: CommandLine) -> None:
    with_owner("server", "plan", "set", "everybody", "pro")

    account = with_owner.asks("server", "plan", "list")[0]
    listed = with_owner("server", "plan", "list", "--csv").out
    assert listed == f"id,kind,name,owner,plan\n{account['id']},personal,Ada,ada@example.com,pro\n"


def test_a_plan_or_an_account_that_there_is_not_is_named(with_owner: CommandLine) -> None:
    gold = with_owner("server", "plan", "set", "ada@example.com", "gold", code=2)
    nobody = with_owner("server", "plan", "set", "bob@example.com", "pro", code=2)

    assert "There is no plan 'gold': name one of free, pro, team, unlimited." in gold.complaint
    assert "There is no account 'bob@example.com'." in nobody.complaint
    mistyped = with_owner("server", "plan", "set", "aad@example.com", "pro", code=2)
    assert "'aad@example.com'; did you mean 'ada@example.com'?" in mistyped.complaint
    near = with_owner("server", "plan", "set", "ada@example.com", "fre", code=2)
    assert "unlimited; did you mean 'free'?" in near.complaint
    assert "telemhq server plan list" in nobody.complaint


def test_several_processes_are_refused_on_sqlite(with_owner: CommandLine) -> None:
    refused = with_owner("server", "run", "--workers", "2", code=3)

    assert "SQLite takes one server process, not 2" in refused.complaint
    assert "telemhq server migrate-database FROM TO" in refused.complaint


def test_less_than_one_process_is_none(with_owner: CommandLine) -> None:
    assert "1 or more" in with_owner("server", "run", "--workers", "0", code=2).complaint


def test_where_there_is_no_database_none_is_made(telemhq: CommandLine) -> None:
    refused = telemhq("server", "plan", "list", code=3)

    assert "there is no database" in refused.complaint
    assert "telemhq server init --email EMAIL" in refused.complaint
    assert not list(telemhq.machine.home.rglob("*.sqlite3"))


def test_everybody_may_see_what_is_left_of_their_plan(
    telemhq: CommandLine, server: RunningServer
) -> None:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    telemhq("tracker", "create", "nightly")

    shown = telemhq("plan")
    found = telemhq.asks("plan")

    assert found["plan"] == "unlimited"
    # The login made one for each of the two agents.
    assert found["trackers"] == {"limit": None, "used": 3, "left": None}
    assert "is on the plan unlimited" in shown.out
    assert "no limit" in shown.out
    assert telemhq("plan", "--csv").out.splitlines()[:2] == ["what,limit,used,left", "trackers,,3,"]
