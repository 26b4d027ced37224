"""`telemhq status-page`, `metrics-key`, `tracker badge` and `tracker summary` against a server."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.telemhq_cli.commands.conftest import CommandLine, RunningServer


@pytest.fixture
def ada(telemhq: CommandLine, server: RunningServer) -> CommandLine:
    telemhq("login", "--url", server.url, "--key-stdin", given=server.api_key + "\n")
    telemhq("tracker", "create", "nightly")
    return telemhq


def seen(url: str, **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as browser:
        return browser.get(url, headers=headers)


def test_a_status_page_is_made_listed_and_removed(ada: CommandLine) -> None:
    ada("tracker", "create", "a=b")

    made = ada("status-page", "create", "Engines", "nightly=Every night", "a=b")

    url = made.out.strip()
    assert "Engines shows Every night, a=b to whoever knows this address" in made.err
    page = seen(url)
    assert "Every night" in page.text
    assert "nightly" not in page.text
    assert url in ada("status-page", "list").out
    (listed,) = ada.asks("status-page", "list")
    assert [one["label"] for one in listed["trackers"]] == ["Every night", "a=b"]
    (row,) = csv.DictReader(io.StringIO(ada("status-page", "list", "--csv").out))
    assert (row["title"], row["url"]) == ("Engines", url)
    assert ada("status-page", "remove", "Engines", "--yes").out == "Removed Engines.\n"
    assert seen(url).status_code == 404
    assert "No status pages." in ada("status-page", "list").out


def test_a_page_of_what_is_not_there_is_refused(ada: CommandLine) -> None:
    assert "nowhere" in ada("status-page", "create", "T", "nowhere", code=2).complaint
    assert "no status page 'T'" in ada("status-page", "remove", "T", "--yes", code=2).complaint
    for _ in range(2):
        ada("status-page", "create", "T", "nightly")
    assert "2 status pages" in ada("status-page", "remove", "T", "--yes", code=2).complaint
    first = ada.asks("status-page", "list")[0]["id"]
    ada("status-page", "remove", first, "--yes")
    assert len(ada.asks("status-page", "list")) == 1


def test_a_metrics_key_opens_the_metrics_until_it_is_revoked(
    ada: CommandLine, server: RunningServer
) -> None:
    made = ada("metrics-key", "create", "prometheus")

    key = {"Authorization": f"Bearer {made.out.strip()}"}
    assert f"{server.url}/metrics, shown this once" in made.complaint
    assert 'telemhq_tracker_up{tracker="nightly"' in seen(f"{server.url}/metrics", **key).text
    (listed,) = ada.asks("metrics-key", "list")
    assert made.out.strip() not in ada("metrics-key", "list").out
    assert ada("metrics-key", "revoke", listed["id"], "--yes").out == f"Revoked {listed['id']}.\n"
    assert seen(f"{server.url}/metrics", **key).status_code == 401
    assert "Revoked" in ada("metrics-key", "list").out


def test_a_badge_is_given_and_taken(ada: CommandLine) -> None:
    given = ada.asks("tracker", "badge", "nightly")

    assert f"![nightly]({given['url']})" in ada("tracker", "badge", "nightly").out
    assert "nightly: no runs yet" in seen(given["url"]).text
    assert "no badge any more" in ada("tracker", "badge", "nightly", "--off", "--yes").out
    assert seen(given["url"]).status_code == 404


def test_a_summary_is_printed_as_it_is_mailed(ada: CommandLine) -> None:
    day = ada("tracker", "summary", "nightly")
    week = ada("tracker", "summary", "nightly", "--weekly")
    told = ada.asks("tracker", "summary", "nightly", "--daily")

    assert day.out.startswith("nightly: ")
    assert "Runs    0" in day.out
    assert week.out.startswith("nightly: week ")
    assert day.out == told["text"] + "\n"
    assert told["figures"]["runs"] == 0
    both = ada("tracker", "summary", "nightly", "--weekly", "--daily", code=2)
    assert "--daily and --weekly exclude each other" in both.complaint
