"""Status pages and badges: who may make them, and what strangers see."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from server_stub.domain.credentials import new_token
from server_stub.reports.badge import picture
from server_stub.reports.kept import Kept
from server_stub.store.public import Standing
from telemhq_agents.contract import routes
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    import httpx

    from tests.server_stub.cast import Cast, Person

SVG = "{http://www.w3.org/2000/svg}"


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def public(cast: Cast, url: str, **headers: str) -> httpx.Response:
    return cast.nobody.http.get(path_of(url), headers=headers)


def read_svg(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own


def made(person: Person, title: str, *trackers: Any, **query: object) -> Any:
    body = {
        "title": title,
        "trackers": [
            {"tracker": one["id"]} if "id" in one else {"tracker": one[0], "label": one[1]}
            for one in trackers
        ],
    }
    return person.did("POST", routes.STATUS_PAGES, body, **query)


def one_page(person: Person, page: Any) -> str:
    return routes.STATUS_PAGE.format(page_id=page["id"])


def test_a_page_shows_strangers_the_state_and_the_last_run_and_nothing_more(cast: Cast) -> None:
    good = cast.member.new_tracker("nightly <b>", account=cast.team)
    bad = cast.member.new_tracker("secret name", account=cast.team)
    secret = {"project": "project-x", "error": "the-error", "prompt": "the-payload"}
    cast.member.http.post(good["ping_url"], json=secret)
    cast.member.http.post(bad["ping_url"], json={"status": "error", **secret})

    page = made(cast.member, "Engines & Co", good, (bad["id"], "Reports"), account=cast.team)
    answer = public(cast, page["url"])
    data = cast.nobody.http.get(path_of(page["url"]) + "/status.json")

    text = answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Engines &amp; Co</title>" in text
    assert "nightly &lt;b&gt;" in text
    assert "Reports" in text
    assert "1 of 2 failing" in text
    for hidden in (
        "secret name",
        "project-x",
        "the-error",
        "the-payload",
        "example.com",
        "<script",
        "thq_",
    ):
        assert hidden not in text
        assert hidden not in data.text
    assert not re.search(r"\bsrc=|\bon\w+=|https?://", text)
    told = data.json()
    assert data.headers["access-control-allow-origin"] == "*"
    assert (told["title"], told["failing"]) == ("Engines & Co", 1)
    assert [(one["label"], one["state"]) for one in told["trackers"]] == [
        ("nightly <b>", "active"),
        ("Reports", "failing"),
    ]
    assert [len(one["days"]) for one in told["trackers"]] == [90, 90]
    assert [one["days"][-1]["state"] for one in told["trackers"]] == ["up", "down"]
    assert re.fullmatch(r".*:00\.000Z", told["as_of"])
    assert told["trackers"][0]["last_run_at"] is not None


def test_a_page_of_nothing_that_runs_does_not_say_that_all_is_well(cast: Cast) -> None:
    new = cast.member.new_tracker("new")
    paused = cast.member.new_tracker("paused")
    cast.member.did("PATCH", routes.TRACKER.format(tracker_id=paused["id"]), {"state": "paused"})

    page = made(cast.member, "Status", new, paused)
    before = public(cast, page["url"]).text
    cast.member.http.post(new["ping_url"], json={})

    assert "Nothing is running" in before
    other = made(cast.member, "Other", new, paused)
    assert "Everything is OK" in public(cast, other["url"]).text


def test_each_bar_has_words_and_the_style_is_the_only_thing_the_page_may_load(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    cast.member.http.post(tracker["ping_url"], json={})
    page = made(cast.member, "Status", tracker)

    answer = public(cast, page["url"])

    assert answer.text.count('no data">·</i>') == 89
    assert answer.text.count('no failure">▮</i>') == 1
    assert 'aria-label="Last 90 days: 100 % of the time without failure, failures on no day."' in (
        answer.text
    )
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_a_page_can_be_kept_by_caches(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    page = made(cast.member, "Status", tracker)
    badge = cast.member.did("PUT", routes.TRACKER_BADGE.format(tracker_id=tracker["id"]))

    for url in (page["url"], page["url"] + "/status.json", badge["url"]):
        first = public(cast, url)
        again = public(cast, url, **{"If-None-Match": f'"x", W/{first.headers["etag"]}'})
        other = public(cast, url, **{"If-None-Match": '"x"'})
        head = cast.nobody.http.head(path_of(url))
        assert first.headers["cache-control"] == "public, max-age=60"
        assert (again.status_code, again.content) == (304, b"")
        assert (other.status_code, head.status_code, head.content) == (200, 200, b"")
        assert again.headers["etag"] == first.headers["etag"] == head.headers["etag"]


def test_an_address_cannot_be_guessed_and_is_gone_when_the_page_is(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    page = made(cast.member, "Status", tracker)
    token = page["url"].rsplit("/", 1)[1]
    assert len(token) == 24
    assert public(cast, page["url"]).status_code == 200

    cast.member.did("DELETE", one_page(cast.member, page))

    for address in (
        page["url"],
        page["url"] + "/status.json",
        f"http://x/status/{new_token()}",
        "http://x/status/short",
        "http://x/status/%00",
        f"http://x/badge/{new_token()}.svg",
        "http://x/badge/x%00.svg",
    ):
        answer = public(cast, address)
        assert answer.status_code == 404, address
        assert answer.headers["content-type"] == "application/problem+json"
    assert cast.member.got(routes.STATUS_PAGES) == []


def test_a_page_changes_and_keeps_its_address(cast: Cast) -> None:
    first, second = cast.member.new_tracker("first"), cast.member.new_tracker("second")
    page = made(cast.member, "Status", first)
    public(cast, page["url"])

    changed = cast.member.did(
        "PUT",
        one_page(cast.member, page),
        {"title": "New", "trackers": [{"tracker": second["id"], "label": "Two"}]},
    )

    assert changed["url"] == page["url"]
    assert cast.member.got(one_page(cast.member, page)) == changed
    text = public(cast, page["url"]).text
    assert "<h1>New</h1>" in text
    assert "Two" in text
    assert "first" not in text


def test_deleted_trackers_are_shown_no_more(cast: Cast) -> None:
    tracker = cast.member.new_tracker("gone", account=cast.team)
    page = made(cast.member, "Status", tracker, account=cast.team)
    cast.member.did("DELETE", routes.TRACKER.format(tracker_id=tracker["id"]))

    answer = public(cast, page["url"])

    assert "Nothing is shown here at present." in answer.text
    assert "gone" not in answer.text
    assert cast.colleague.ask("GET", one_page(cast.member, page)).status_code == 403
    # Whoever made it can still take it down.
    assert cast.member.got(one_page(cast.member, page))["trackers"] == []
    assert cast.member.did("DELETE", one_page(cast.member, page)) is None


def test_a_colleagues_deleted_tracker_does_not_make_a_page_yours(cast: Cast) -> None:
    theirs = cast.colleague.new_tracker("theirs", account=cast.team)
    mine = cast.member.new_tracker("mine", account=cast.team)
    both = made(cast.manager, "Both", theirs, mine, account=cast.team)

    cast.colleague.did("DELETE", routes.TRACKER.format(tracker_id=theirs["id"]))

    assert cast.member.ask("DELETE", one_page(cast.member, both)).status_code == 403
    assert cast.member.got(routes.STATUS_PAGES, account=cast.team) == []


def test_a_member_shows_their_own_trackers_and_sees_pages_of_these_alone(cast: Cast) -> None:
    theirs = cast.colleague.new_tracker("theirs", account=cast.team)
    mine = cast.member.new_tracker("mine", account=cast.team)
    body = {"title": "S", "trackers": [{"tracker": theirs["id"]}]}

    refused = cast.member.ask("POST", routes.STATUS_PAGES, body, {"account": cast.team})
    both = made(cast.manager, "Both", theirs, mine, account=cast.team)
    own = made(cast.member, "Own", mine, account=cast.team)

    assert refused.status_code == 403
    assert [one["title"] for one in cast.member.got(routes.STATUS_PAGES, account=cast.team)] == [
        "Own"
    ]
    assert len(cast.owner.got(routes.STATUS_PAGES, account=cast.team)) == 2
    assert cast.member.ask("GET", one_page(cast.member, both)).status_code == 403
    assert cast.outsider.ask("GET", one_page(cast.member, own)).status_code == 404


@pytest.mark.parametrize(
    ("title", "trackers", "status"),
    [
        ("", ["own"], 422),
        ("x", [], 422),
        ("x", ["own", "own"], 422),
        ("x", ["4711"], 404),
        ("x", ["none"], 404),
        ("x", ["outsider's"], 404),
    ],
)
def test_a_bad_page_is_refused(
    sqlite_cast: Cast, title: str, trackers: list[str], status: int
) -> None:
    known = {
        "own": sqlite_cast.member.new_tracker()["id"],
        "outsider's": sqlite_cast.outsider.new_tracker()["id"],
    }
    body = {"title": title, "trackers": [{"tracker": known.get(one, one)} for one in trackers]}

    assert sqlite_cast.member.ask("POST", routes.STATUS_PAGES, body).status_code == status


def test_there_is_no_badge_until_somebody_wants_one(cast: Cast) -> None:
    tracker = cast.member.new_tracker("my [job]")
    path = routes.TRACKER_BADGE.format(tracker_id=tracker["id"])
    none_yet = cast.member.ask("GET", path)

    given = cast.member.did("PUT", path)
    again = cast.member.did("PUT", path)
    shown = public(cast, given["url"])
    cast.member.http.post(tracker["ping_url"], json={"status": "error"})
    failing = public(cast, given["url"])
    cast.member.did("DELETE", path)

    assert (none_yet.status_code, none_yet.json()["type"]) == (404, "badge-not-found")
    assert again == given
    assert given["markdown"] == f"![my \\[job\\]]({given['url']})"
    assert shown.headers["content-type"] == "image/svg+xml"
    title = read_svg(shown.text).findtext(f"{SVG}title")
    assert title == "my [job]: no runs yet"
    assert read_svg(failing.text).findtext(f"{SVG}title") == "my [job]: failing"
    assert public(cast, given["url"]).status_code == 404
    fresh = cast.member.did("PUT", path)
    assert fresh["url"] != given["url"]


@pytest.mark.parametrize("state", TrackerState)
def test_a_badge_is_sound_svg_whatever_the_tracker_is_called(state: TrackerState) -> None:
    name = "<&\"'> " + "長" * 60

    drawn = read_svg(picture(Standing(1, 2, name, state, None)))

    label, told = (one.text or "" for one in drawn.iter(f"{SVG}text"))
    assert label.startswith("<&\"'> 長")
    assert len(label) == 40
    assert told
    left = drawn.findall(f"{SVG}rect")[0].attrib["width"]
    assert int(left) == int(drawn.attrib["width"]) > 400


def test_an_answer_is_kept_for_its_time_and_the_oldest_gives_way() -> None:
    now = [0]
    kept: Kept[int] = Kept(5, lambda: now[0], most=2)
    made_so_far: list[int] = []

    def make() -> int:
        made_so_far.append(1)
        return len(made_so_far)

    assert [kept.get("a", make), kept.get("a", make)] == [1, 1]
    now[0] = 5_000_000_000
    assert kept.get("a", make) == 2
    assert [kept.get("b", make), kept.get("a", make)] == [3, 2]
    assert [kept.get("c", make), kept.get("b", make), kept.get("a", make)] == [4, 3, 5]
