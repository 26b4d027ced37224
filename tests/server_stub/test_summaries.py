"""Summaries: what they say, to the letter, and that each is mailed once."""

from __future__ import annotations

import json
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import delete, select, update

from server_stub.domain.summary_period import latest_period
from server_stub.notify.letters import letter
from server_stub.reports.summary import summary_figures, summary_letter
from server_stub.reports.summary_facts import SummaryFacts, summary_facts
from server_stub.settings import Settings
from server_stub.store import channels, field_choices, summaries
from server_stub.store import rules as stored_rules
from server_stub.store.channels import unsubscribe
from server_stub.store.engine import Store
from server_stub.store.migrate import upgrade
from server_stub.store.tables import deliveries, memberships, runs, trackers
from server_stub.store.tables import summaries as summary_rows
from server_stub.workers.summaries import Summaries
from telemhq_agents.clock import from_iso, monotonic_ns, now_ms
from telemhq_agents.contract import routes
from telemhq_agents.contract.rules import Every, Rules, Summary
from telemhq_agents.contract.series import Choice
from tests.server_stub.mail_servers import taking_mail
from tests.server_stub.summary_story import (
    ACCOUNT,
    ADA,
    TRACKER,
    live_through,
    open_account,
    ping,
    run_ids,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.server_stub.cast import Cast
    from tests.server_stub.conftest import LiveServer

GOLDEN = Path(__file__).resolve().parents[1] / "fixtures" / "summaries"
SUNDAY = "2025-10-26T12:00:00Z"
MONDAY = "2025-10-27T12:00:00Z"
LATER_MS = 60_000
PUBLIC = "https://telemhq.example.com"


def facts_of(store: Store, every: Every, now: str) -> SummaryFacts:
    (to,) = _subscribers(store)
    summary = Summary(every, to.summary.hour, to.summary.timezone)
    return summary_facts(store, to, latest_period(summary, from_iso(now)))


def _subscribers(store: Store) -> list[summaries.Subscriber]:
    with store.read() as connection:
        return summaries.subscribers(connection, (0, 0), 10)[0]


def told(store: Store) -> dict[str, str]:
    """Return the summaries of the story; runs are called RUN 1, RUN 2 and so on."""
    words = {}
    for name, every, now in (("daily", Every.DAY, SUNDAY), ("weekly", Every.WEEK, MONDAY)):
        said = summary_letter(facts_of(store, every, now))
        words[f"{name}.txt"] = f"Subject: {said.subject}\n\n{said.text}\n"
        words[f"{name}.html"] = said.html + "\n"
    for number, run_id in enumerate(run_ids(store), 1):
        words = {name: text.replace(str(run_id), f"RUN {number}") for name, text in words.items()}
    return words


def round_(store: Store, now_ms: int, worker: Summaries | None = None) -> None:
    working = worker or Summaries(store)
    while working.run_once(now_ms):
        pass


def mails(store: Store) -> list[Any]:
    with store.read() as connection:
        asked = select(deliveries).where(deliveries.c.kind == "summary").order_by(deliveries.c.id)
        found = [dict(row._mapping) for row in connection.execute(asked)]
    return [row | {"content": json.loads(row["content"])} for row in found]


def subjects(store: Store) -> list[str]:
    return [mail["content"]["subject"] for mail in mails(store)]


def test_the_same_runs_make_the_same_summary_to_the_letter(store: Store) -> None:
    """`python -m tests.server_stub.test_summaries` writes the golden files."""
    open_account(store)
    live_through(store)

    for name, text in told(store).items():
        assert text == (GOLDEN / name).read_text(encoding="utf-8"), name
    assert told(store) == told(store)


def test_no_summary_tells_what_a_payload_held(store: Store) -> None:
    open_account(store)
    live_through(store)

    whole = "".join(told(store).values())

    assert "secret" not in whole
    assert "<b>" not in told(store)["daily.html"]
    assert "nightly &lt;b&gt;&amp; co" in told(store)["daily.html"]


def test_the_figures_are_the_sums_of_what_was_sent(store: Store) -> None:
    open_account(store)
    live_through(store)

    day = summary_figures(facts_of(store, Every.DAY, SUNDAY))
    week = summary_figures(facts_of(store, Every.WEEK, MONDAY))

    # 24 runs of 2,000 + 200 tokens, and a correction of 500.
    assert (day["runs"], day["runs_before"], day["runs_kept"]) == (24, 12, 24)
    assert (day["total_tokens"], day["total_tokens_before"]) == (24 * 2200 + 500, 12 * 1100)
    assert day["cost_usd"] == pytest.approx(
        9 + sum(0.25 + n / 100 for n in range(24) if n != 20) + 0.1
    )
    # One said so, three broke an assertion; the warning fails none.
    assert day["failed"] == 4
    assert day["failure_rate"] == pytest.approx(4 / 24)
    assert day["cache_efficiency"] == pytest.approx(24 * 1500 / (24 * 2000 + 500))
    assert day["broken_assertions"] == 4
    assert week["runs"] == 12 + 24 + 2
    assert week["unpriced_tokens"] == 7


def test_a_day_without_runs_says_so(store: Store) -> None:
    open_account(store)

    said = summary_letter(facts_of(store, Every.DAY, SUNDAY))

    assert said.subject == "nightly <b>& co</b>, 2025-10-25: 0 runs"
    assert "Runs    0" in said.text


def test_what_is_no_longer_kept_is_still_in_the_sums(store: Store) -> None:
    open_account(store)
    live_through(store)
    old = runs.c.ended_ms < from_iso("2025-10-25T09:00:00Z")
    store.write(lambda connection: connection.execute(delete(runs).where(old)))

    facts = facts_of(store, Every.DAY, SUNDAY)

    text = summary_letter(facts).text
    assert (facts.sums.runs, facts.told.kept) == (24, 12)
    assert "of 12 that are kept" in text
    assert "Of the 12 runs that are still kept." in text
    assert " before)" not in text.partition("Failed")[2].partition("\n")[0]


def test_each_summary_is_mailed_once_whatever_happens(store: Store) -> None:
    open_account(store)
    live_through(store)
    due_ms = from_iso("2025-10-26T06:00:00Z") + LATER_MS
    worker = Summaries(store)

    round_(store, due_ms - 1, worker)
    early = subjects(store)
    round_(store, due_ms, worker)
    round_(store, due_ms + 20 * 60_000, worker)
    round_(store, due_ms)  # after a restart
    round_(store, due_ms - 3_600_000)  # the clock is set back

    # The first round after a start sends what was due before it.
    assert early == ["nightly <b>& co</b>, 2025-10-24: 12 runs, 1 failed, $6.00"]
    assert len(subjects(store)) == 2
    mail = mails(store)[1]
    assert mail["content"]["subject"].startswith("nightly <b>& co</b>, 2025-10-25: 24 runs")
    assert (mail["kind"], mail["event"]) == ("summary", "summary")
    assert (mail["target"], mail["tracker_id"]) == ("ada@example.com", TRACKER)
    assert (mail["state"], mail["next_ms"]) == ("waiting", due_ms)
    sent = letter(mail["content"], stop_link="https://x/unsubscribe/abc")
    assert "Models" in sent.text
    assert "https://x/unsubscribe/abc" in sent.html


def test_two_processes_send_one(store: Store, database_url: str) -> None:
    open_account(store, count=8)
    other = Store(database_url)
    if database_url.startswith("postgresql"):
        other.start()
    now_ms = from_iso(SUNDAY)
    second = other if database_url.startswith("postgresql") else store

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: round_(one, now_ms), [store, second]))
    if second is other:
        other.stop()

    assert sorted(mail["tracker_id"] for mail in mails(store)) == [10 + n for n in range(8)]


def test_all_get_theirs_where_there_are_more_than_one_look_takes_in(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_stub.workers.summaries.LOOKED_AT", 3)
    open_account(store, count=7)

    round_(store, from_iso(SUNDAY))

    assert sorted(mail["tracker_id"] for mail in mails(store)) == [10 + n for n in range(7)]


def test_a_summary_that_cannot_be_written_keeps_nobody_else_from_theirs(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_account(store, count=3)
    book = summaries.book

    def failing(connection: Any, to: Any, *rest: Any) -> bool:
        if to.tracker_id == TRACKER:
            raise ValueError("no such thing")
        return book(connection, to, *rest)

    monkeypatch.setattr(summaries, "book", failing)
    round_(store, from_iso(SUNDAY))

    assert [mail["tracker_id"] for mail in mails(store)] == [11, 12]
    assert "the summary of tracker 10 cannot be written" in caplog.text


def test_rules_that_cannot_be_used_keep_nobody_else_from_their_summary(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server_stub.workers.summaries.LOOKED_AT", 1)
    open_account(store, count=3)
    broken = {
        TRACKER: '{"summary":{"every":"hourly"}}',
        TRACKER + 1: '{"summary":{"every":"daily","timezone":"Mars/Olympus"}}',
    }
    for tracker_id, text in broken.items():
        changed = update(trackers).where(trackers.c.id == tracker_id).values(rules=text)
        store.write(lambda connection, changed=changed: connection.execute(changed))  # type: ignore[misc]  # - a default binds it now

    round_(store, from_iso(SUNDAY))

    assert [mail["tracker_id"] for mail in mails(store)] == [TRACKER + 2]
    assert "the rules of tracker 10 cannot be read" in caplog.text
    assert "the summary of tracker 11 is never due" in caplog.text


def test_nobody_is_mailed_who_unsubscribed_left_or_deleted_the_tracker(store: Store) -> None:
    open_account(store, count=3)

    def change(connection: Any) -> None:
        mailbox = channels.mailbox(
            connection, ACCOUNT, TRACKER, kind="summary", address="ada@example.com", now_ms=1
        )
        unsubscribe(connection, mailbox, 2)
        gone = update(trackers).where(trackers.c.id == TRACKER + 1).values(deleted_ms=1)
        connection.execute(gone)

    store.write(change)
    round_(store, from_iso(SUNDAY))
    first = [mail["tracker_id"] for mail in mails(store)]
    store.write(lambda connection: connection.execute(update(memberships).values(state="revoked")))
    round_(store, from_iso(MONDAY))

    assert first == [TRACKER + 2]
    assert len(mails(store)) == 1


def test_who_turns_summaries_on_gets_the_next_one_and_none_of_the_past(store: Store) -> None:
    open_account(store, {})
    live_through(store)

    def want(every: Every, hour: int, at: str) -> None:
        def change(connection: Any) -> None:
            (standing,) = stored_rules.lock(connection, ACCOUNT, [TRACKER]).values()
            wanted = Rules(summary=Summary(every, hour, "Europe/Riga"))
            stored_rules.replace_rules(connection, standing, wanted, from_iso(at))

        store.write(change)

    worker = Summaries(store)
    want(Every.DAY, 8, "2025-10-25T10:00:00Z")
    round_(store, from_iso("2025-10-25T10:30:00Z"), worker)
    before_its_time = subjects(store)
    # Another hour skips no day.
    want(Every.DAY, 7, "2025-10-26T05:30:00Z")
    round_(store, from_iso("2025-10-26T06:01:00Z"), worker)
    daily = subjects(store)
    want(Every.WEEK, 7, "2025-10-26T10:00:00Z")
    round_(store, from_iso("2025-10-26T10:30:00Z"), worker)
    round_(store, from_iso("2025-10-27T08:00:00Z"), worker)

    assert before_its_time == []
    assert [subject.partition(": ")[0][-10:] for subject in daily] == ["2025-10-25"]
    assert [subject.partition(": ")[0][-7:] for subject in subjects(store)[1:]] == ["week 43"]


@pytest.mark.parametrize(
    "later", [Summary(Every.DAY, 23, "UTC"), Summary(Every.DAY, 8, "America/Los_Angeles")]
)
def test_another_hour_or_zone_brings_no_summary_of_the_past_back(
    store: Store, later: Summary
) -> None:
    open_account(store, {})

    def want(summary: Summary, at: str) -> None:
        def change(connection: Any) -> None:
            (standing,) = stored_rules.lock(connection, ACCOUNT, [TRACKER]).values()
            stored_rules.replace_rules(connection, standing, Rules(summary=summary), from_iso(at))

        store.write(change)

    want(Summary(Every.DAY, 8, "UTC"), "2025-10-20T10:00:00Z")
    want(later, "2025-10-20T10:05:00Z")
    round_(store, from_iso("2025-10-20T10:16:00Z"))
    none_of_the_past = subjects(store)
    round_(store, from_iso("2025-10-22T12:00:00Z"))

    assert none_of_the_past == []
    (only,) = subjects(store)
    assert ", 2025-10-20: " in only


@pytest.mark.parametrize("summary", [{"hour": 9}, {"timezone": "Asia/Tokyo"}])
def test_an_hour_or_a_zone_alone_mails_nothing(store: Store, summary: dict[str, Any]) -> None:
    open_account(store, {"summary": summary})
    live_through(store)

    round_(store, from_iso(SUNDAY))

    assert subjects(store) == []


@pytest.mark.parametrize(
    "odd",
    [{'a"b_ms': 1}, {"C:\\x_ms": 2}, {"a\tb_ms": 3}, {"x_ms": 10**400}, {"x_ms": 10**308}],
    ids=str,
)
def test_a_summary_is_mailed_whatever_fields_payloads_have(
    store: Store, odd: dict[str, Any]
) -> None:
    open_account(store)
    for hour in range(3):
        ping(store, f"2025-10-25T0{hour}:00:00+00:00", items_processed=2, **odd)

    round_(store, from_iso(SUNDAY))

    (mail,) = mails(store)
    assert re.search("items_processed +6 in all", mail["content"]["text"])


def test_a_tracker_from_a_file_gets_the_next_summary_and_none_of_the_past(cast: Cast) -> None:
    file = {"trackers": [{"name": "new", "summary": {"every": "weekly"}}, {"name": "plain"}]}

    cast.member.did("PUT", routes.TRACKER_FILE, file)

    store = Store(cast.settings.database_url)
    with store.read() as connection:
        (row,) = connection.execute(select(summary_rows)).all()
    round_(store, now_ms() + LATER_MS)
    assert mails(store) == []
    store.stop()
    assert "-W" in row.period


def test_a_tracker_that_never_had_a_summary_costs_no_row(store: Store) -> None:
    open_account(store, {})

    round_(store, from_iso(SUNDAY))

    with store.read() as connection:
        assert connection.execute(select(summary_rows)).all() == []


def test_a_running_server_mails_what_is_due_and_stops_where_somebody_unsubscribes(
    sqlite_url: str,
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]],
    no_certificates: ssl.SSLContext,
) -> None:
    store = Store(sqlite_url)
    store.start()
    open_account(store)
    store.stop()
    patience = monotonic_ns() + 20 * 10**9
    with taking_mail() as (box, mail_server):
        settings = Settings(sqlite_url, port=0, mail=mail_server, public_url=PUBLIC)
        with (
            run_server(settings) as live,
            httpx.Client(base_url=live.url, verify=no_certificates, trust_env=False) as http,
        ):
            while not box.contents and monotonic_ns() < patience:
                time.sleep(0.05)
            (mail,) = box.mails
            stop_path = mail["List-Unsubscribe"].strip("<>").removeprefix(PUBLIC)
            stopped = http.post(stop_path, data={"List-Unsubscribe": "One-Click"})
    assert mail["Subject"].startswith("nightly <b>& co</b>, ")
    assert (mail["To"], box.receivers) == ("ada@example.com", ["ada@example.com"])
    body = mail.get_body(("plain",))
    assert body is not None
    assert "Runs    0" in body.get_content()
    assert "gets no more summaries about nightly" in stopped.text

    again = Store(sqlite_url)
    again.start()
    again.write(lambda connection: connection.execute(delete(summary_rows)))
    round_(again, now_ms())
    assert len(mails(again)) == 1
    again.stop()


def test_a_hidden_field_is_left_out(store: Store) -> None:
    open_account(store)
    live_through(store)
    assert "quality.eval_score" in told(store)["daily.txt"]

    whose = (ACCOUNT, ADA, TRACKER)
    store.write(
        lambda connection: field_choices.choose(
            connection, whose, "quality.eval_score", Choice.HIDDEN
        )
    )

    assert "quality.eval_score" not in told(store)["daily.txt"]


def test_anybody_who_sees_a_tracker_can_read_its_summary(cast: Cast) -> None:
    tracker = cast.member.new_tracker(account=cast.team)
    path = routes.TRACKER_SUMMARY.format(tracker_id=tracker["id"])

    day = cast.member.got(path)
    week = cast.owner.got(path, every="weekly")

    assert (day["every"], week["every"]) == ("daily", "weekly")
    assert len(day["period"]) == 10
    assert "-W" in week["period"]
    assert day["subject"] == f"nightly, {day['period']}: 0 runs"
    assert day["text"].startswith("nightly: ")
    assert day["html"].startswith("<h1")
    assert (day["figures"]["runs"], day["figures"]["failure_rate"]) == (0, None)
    assert cast.member.ask("GET", path, params={"every": "yearly"}).status_code == 422


def test_the_rules_say_which_summary_is_shown(cast: Cast) -> None:
    tracker = cast.member.new_tracker()
    rules = {"summary": {"every": "weekly", "timezone": "Asia/Tokyo"}}
    cast.member.did("PUT", routes.TRACKER_RULES.format(tracker_id=tracker["id"]), rules)

    shown = cast.member.got(routes.TRACKER_SUMMARY.format(tracker_id=tracker["id"]))

    assert (shown["every"], shown["timezone"]) == ("weekly", "Asia/Tokyo")
    assert shown["since"].endswith("T15:00:00.000Z")


def write_golden() -> None:
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/story.sqlite3"
        upgrade(url)
        store = Store(url)
        store.start()
        open_account(store)
        live_through(store)
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for name, text in told(store).items():
            (GOLDEN / name).write_text(text, encoding="utf-8")
        store.stop()


if __name__ == "__main__":
    write_golden()
