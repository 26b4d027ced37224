"""A tracker's fields by project, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.contract import routes

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast, Person


def sent(person: Person, tracker: Any, *payloads: dict[str, Any]) -> None:
    for payload in payloads:
        assert person.http.post(tracker["ping_url"], json=payload).status_code == 200


def breakdown(person: Person, tracker: Any, *fields: str, **query: object) -> Any:
    path = routes.TRACKER_BREAKDOWN.format(tracker_id=tracker["id"])
    return person.got(path, field=list(fields), **query)


def test_fields_are_added_up_by_project_the_busiest_first(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(
        cast.member,
        tracker,
        {"project": "web", "items_processed": 3, "usage": {"cost_usd": 0.1}},
        {"repo": "web", "items_processed": 4, "usage": {"cost_usd": 0.2}},
        {"project": "search", "items_processed": 10},
        {"temperature": 0.5},
        {"project": "web"},
    )

    told = breakdown(cast.member, tracker, "items_processed", "usage.cost_usd")

    assert (told["schema"], told["runs"]) == ("telemhq.breakdown/1", 5)
    assert [(one["project"], one["runs"]) for one in told["projects"]] == [
        ("web", 3),
        ("", 1),
        ("search", 1),
    ]
    web, nameless, search = (one["fields"] for one in told["projects"])
    assert web[0] == {
        "field": "items_processed",
        "kind": "count",
        "unit": "",
        "runs": 2,
        "sum": 7,
        "mean": 3.5,
        "min": 3,
        "max": 4,
    }
    assert (web[1]["sum"], web[1]["unit"]) == (pytest.approx(0.3), "USD")
    assert (search[0]["sum"], search[1]["runs"], search[1]["sum"]) == (10, 0, None)
    assert nameless[0] == {**web[0], "runs": 0} | dict.fromkeys(("sum", "mean", "min", "max"))


def test_the_window_is_of_the_latest_runs_and_without_fields_the_charted_ones(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(cast.member, tracker, *({"project": "a", "cost_usd": cost} for cost in (1, 2, 4)))

    told = breakdown(cast.member, tracker, limit=2)

    assert (told["window"], told["runs"]) == (2, 2)
    ((field,),) = (one["fields"] for one in told["projects"])
    assert (field["field"], field["sum"]) == ("cost_usd", 6)


def test_sums_of_decimals_and_of_whole_numbers_are_exact_and_beyond_floats_are_null(
    cast: Cast,
) -> None:
    tracker = cast.member.new_tracker()
    payloads = [{"cost_usd": 0.1, "huge_ms": 1e308, "whole": 2**53 + 1} for _ in range(10)]
    sent(cast.member, tracker, *payloads)

    told = breakdown(cast.member, tracker, "cost_usd", "huge_ms", "whole")

    cost, huge, number = told["projects"][0]["fields"]
    assert cost["sum"] == 1.0
    assert (huge["sum"], huge["max"]) == (None, 1e308)
    assert number["sum"] == 10 * (2**53 + 1)


def test_runs_that_are_none_are_left_out(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    sent(cast.member, tracker, {"project": "a", "cost_usd": 1})
    assert cast.member.http.post(f"{tracker['ping_url']}/start").status_code == 200

    assert breakdown(cast.member, tracker, "cost_usd")["runs"] == 1


def test_the_last_value_of_a_series_is_the_latest_runs_that_has_one(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    costs = [5, 1, 7, None]
    sent(
        cast.member,
        tracker,
        *(
            {"cost_usd": cost, "ended_at": f"2026-01-01T00:00:0{second}Z"}
            for second, cost in enumerate(costs)
        ),
    )
    path = routes.TRACKER_SERIES.format(tracker_id=tracker["id"])

    whole = cast.member.got(path, field="cost_usd")["series"][0]
    few = cast.member.got(path, field="cost_usd", width=1)["series"][0]
    absent = cast.member.got(path, field="nowhere")["series"][0]

    assert (whole["last"], few["last"], absent["last"]) == (7, 7, None)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 100_001}, {"field": "..x"}])
def test_what_is_out_of_bounds_is_refused(sqlite_cast: Cast, query: dict[str, Any]) -> None:
    tracker = sqlite_cast.member.new_tracker()
    path = routes.TRACKER_BREAKDOWN.format(tracker_id=tracker["id"])

    answer = sqlite_cast.member.ask("GET", path, params=query)

    assert answer.status_code == 422
