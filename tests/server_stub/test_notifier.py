"""The outbox being emptied: once, in time, whatever receivers, workers and clocks do."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from server_stub.domain.channel import WEBHOOK_KINDS
from server_stub.domain.delivery import (
    DAY_MS,
    LEASE_MS,
    Attempt,
    after,
    wait_ms,
)
from server_stub.notify.lines import Dialler
from server_stub.notify.notifier import Means, Notifier
from server_stub.settings import MailServer, Settings
from server_stub.store import channels, deliveries, delivery_log
from server_stub.store.engine import Store
from telemhq_agents.contract.deliveries import DeliveryState
from tests.server_stub.mail_servers import taking_mail
from tests.server_stub.outbox import ACCOUNT, NOW_MS, TRACKER, Outbox, failed, recovered
from tests.server_stub.receivers import answering, dropping, hanging, receiving

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
HOUR = 60 * 60 * 1000
WAIT = 15.0


@dataclass
class Clock:
    ms: int = NOW_MS

    def __call__(self) -> int:
        return self.ms


@dataclass
class Post:
    """The outbox and whoever empties it, on a clock that only the test moves."""

    outbox: Outbox
    clock: Clock

    def notifier(
        self,
        mail: MailServer | None = None,
        public_url: str = "https://telemhq.example.com",
        seconds: float = 5.0,
    ) -> Notifier:
        settings = Settings("", mail=mail, public_url=public_url, allow_private_webhooks=True)
        means = Means(
            Dialler(allow_private=True, tls=NO_TLS),
            NO_TLS,
            seconds,
            self.clock,
            lambda: 0.5,
        )
        return Notifier(self.outbox.store, settings, means)

    def empty(self, notifier: Notifier) -> int:
        """Send what is due now, all of it; return how many were started."""
        total = 0
        while started := notifier.run_once(self.clock.ms):
            total += started
            assert notifier.wait(WAIT)
        return total


@pytest.fixture
def post(store: Store) -> Post:
    return Post(Outbox(store).open(), Clock())


def test_an_alert_arrives_by_webhook_and_by_mail(post: Post) -> None:
    with receiving(answering()) as receiver, taking_mail() as (box, server):
        wanted = [("webhook", receiver.url), ("email", "ops@example.com")]
        secrets = {one.kind: one.secret for one in post.outbox.channel(*wanted)}
        post.outbox.note(failed())
        assert post.empty(post.notifier(server)) == 2

    (request,) = receiver.requests
    assert request.json["event"] == "tracker.failed"
    sent = {row["kind"]: row for row in post.outbox.deliveries()}
    assert request.headers["webhook-id"] == f"msg_{sent['webhook']['id']}"
    assert request.headers["webhook-timestamp"] == str(NOW_MS // 1000)
    moved = dict(request.headers)
    signature = Webhook(secrets["webhook"])
    expected = signature.sign(moved["webhook-id"], _moment(NOW_MS), request.body.decode())
    assert moved["webhook-signature"] == expected
    assert box.receivers == ["ops@example.com"]
    (mail,) = box.mails
    assert mail["Subject"] == "nightly is failing"
    assert post.outbox.states() == ["sent", "sent"]
    assert {row["next_ms"] for row in sent.values()} == {None}
    assert [row["error"] for row in post.outbox.rows("delivery_attempts")] == ["", ""]


def test_whoever_follows_the_link_in_a_mail_gets_no_more(post: Post) -> None:
    from server_stub.domain.channel import read_unsubscribe_token

    with taking_mail() as (box, server):
        notifier = post.notifier(server)
        post.outbox.note(failed())
        post.empty(notifier)
        link = box.mails[0]["List-Unsubscribe"]
        asked = read_unsubscribe_token(link.strip("<>").rpartition("/")[2])
        assert asked is not None

        def stop(connection: Any) -> None:
            found = channels.find_subscription(connection, asked)
            assert found is not None
            channels.unsubscribe(connection, found, NOW_MS)

        post.outbox.store.write(stop)
        post.outbox.note(recovered(at=NOW_MS + 1))
        post.empty(notifier)

    assert len(box.mails) == 1


def test_a_failing_receiver_is_tried_again_later_and_later(post: Post) -> None:
    with receiving(answering("500 Oops")) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        notifier, waits = post.notifier(), []
        for _ in range(8):
            assert post.empty(notifier) == 1
            (row,) = post.outbox.rows("deliveries")
            waits.append(row["next_ms"] - post.clock.ms)
            post.clock.ms = row["next_ms"]

    # Within 100 ms for what an attempt itself took.
    expected = [5, 15, 45, 135, 405, 1215, 3645, 7200]
    assert [round(wait / 1000) for wait in waits] == expected
    assert row["last_error"] == "answered 500"
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    attempts = post.outbox.rows("delivery_attempts")
    assert [one["attempt"] for one in attempts] == list(range(1, 9))
    assert {one["http_status"] for one in attempts} == {500}


def test_after_a_day_it_is_given_up_where_people_can_see_it(post: Post) -> None:
    with receiving(dropping) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        notifier = post.notifier()
        while post.empty(notifier):
            (row,) = post.outbox.rows("deliveries")
            post.clock.ms = row["next_ms"] or post.clock.ms

    assert row["state"] == "given-up"
    assert row["next_ms"] is None
    assert row["last_error"] == "no answer of HTTP: RemoteDisconnected"
    assert 23 * HOUR < row["done_ms"] - NOW_MS < 24 * HOUR
    assert row["attempts"] == len(receiver.requests) == 19


def test_a_receiver_that_comes_back_gets_what_it_missed(post: Post) -> None:
    with receiving(answering("503 Busy", Retry_After="600")) as busy:
        post.outbox.webhooks(busy.url)
        post.outbox.note(failed())
        notifier = post.notifier()
        post.empty(notifier)
        (row,) = post.outbox.rows("deliveries")
        assert round((row["next_ms"] - NOW_MS) / 1000) == 600
        busy.behave = answering()
        post.clock.ms += 599_000
        assert post.empty(notifier) == 0
        post.clock.ms += 2_000
        assert post.empty(notifier) == 1

    assert post.outbox.states() == ["sent"]


def test_a_worker_that_dies_between_claim_and_send_is_followed_by_another(post: Post) -> None:
    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        store = post.outbox.store
        with store.read() as connection:
            due = deliveries.due(connection, WEBHOOK_KINDS, NOW_MS, 10)
        (claimed,) = store.write(
            lambda connection: deliveries.claim(
                connection, due, WEBHOOK_KINDS, "the dead one", NOW_MS
            )
        )
        notifier = post.notifier()
        post.clock.ms = NOW_MS + LEASE_MS - 1
        assert post.empty(notifier) == 0
        post.clock.ms = NOW_MS + LEASE_MS
        assert post.empty(notifier) == 1

    (request,) = receiver.requests
    assert request.headers["webhook-id"] == f"msg_{claimed.id}"
    assert post.outbox.states() == ["sent"]


def claimed_by(post: Post, worker: str) -> deliveries.StoredDelivery:
    store = post.outbox.store
    with store.read() as connection:
        due = deliveries.due(connection, WEBHOOK_KINDS, post.clock.ms, 10)
    (claimed,) = store.write(
        lambda connection: deliveries.claim(connection, due, WEBHOOK_KINDS, worker, post.clock.ms)
    )
    return claimed


def test_of_two_workers_that_hold_the_same_claim_the_late_failure_counts_for_nothing(
    post: Post,
) -> None:
    post.outbox.webhooks("http://127.0.0.1:9/")
    post.outbox.note(failed())
    first = claimed_by(post, "slow")
    post.clock.ms += LEASE_MS
    second = claimed_by(post, "fast")

    def finish(delivery: deliveries.StoredDelivery, error: str) -> object:
        attempt = Attempt(post.clock.ms, 1, error)
        return post.outbox.store.write(
            lambda connection: deliveries.finish(connection, delivery, attempt, 0.5)
        )

    assert finish(first, "answered 500") is None
    assert post.outbox.states() == ["waiting"]
    assert finish(first, "") is not None  # what has arrived has arrived
    assert post.outbox.states() == ["sent"]
    assert finish(second, "answered 500") is None
    assert post.outbox.states() == ["sent"]


def test_two_processes_send_everything_once(post: Post, database_url: str) -> None:
    other = Store(database_url)
    other.start()
    with receiving(answering()) as receiver:
        for number in range(20, 50):
            post.outbox.another_tracker(number, f"job {number}")
            post.outbox.webhooks(f"{receiver.url}&n={number % 7}", tracker=number)
            post.outbox.note(failed(tracker=number, run_id=None))
        elsewhere = Post(Outbox(other), post.clock)
        workers = [one.notifier() for one in (post, elsewhere)]

        def work(notifier: Notifier) -> None:
            for _ in range(200):
                notifier.run_once(NOW_MS)
                notifier.wait(WAIT)
                if set(post.outbox.states()) == {"sent"}:
                    return

        threads = [threading.Thread(target=work, args=(one,)) for one in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    other.stop()
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert len(ids) == len(set(ids)) == 30
    assert set(post.outbox.states()) == {"sent"}


def test_a_receiver_that_hangs_holds_up_nobody_else(post: Post) -> None:
    with receiving(hanging) as dead, receiving(answering()) as well:
        post.outbox.webhooks(dead.url, well.url)
        post.outbox.note(failed())
        post.outbox.note(recovered(at=NOW_MS))
        notifier = post.notifier(seconds=3.0)
        for _ in range(100):
            notifier.run_once(NOW_MS)
            if len(well.requests) == 2:
                break
            threading.Event().wait(0.02)

        assert [one.json["event"] for one in well.requests] == [
            "tracker.failed",
            "tracker.recovered",
        ]
        assert dead.connections == 1  # one at a time
        assert post.outbox.states().count("sent") in {1, 2}
        dead.closing.set()
        assert notifier.wait(WAIT)


def elsewhere(url: str, number: int) -> str:
    """Return another name of loopback, so that receivers look like those of many hosts."""
    return url.replace("127.0.0.1", f"127.0.1.{number}")


@pytest.mark.parametrize(("tried", "room"), [(0, 16), (1, 8)])
def test_receivers_that_failed_before_leave_half_of_the_room_to_others(
    tried: int, room: int, post: Post
) -> None:
    post.outbox.webhooks(*(elsewhere("http://127.0.0.1:9/", number) for number in range(40)))
    post.outbox.note(failed())
    set_tried = text(f"UPDATE deliveries SET attempts = {tried}")  # noqa: S608 - 0 or 1
    post.outbox.store.write(lambda connection: connection.execute(set_tried))

    notifier = post.notifier()
    assert notifier.run_once(NOW_MS) == room
    assert notifier.wait(WAIT)


def test_a_host_that_hangs_with_all_its_receivers_leaves_room_for_others(post: Post) -> None:
    with receiving(hanging) as dead, receiving(answering()) as well:
        hung = [f"{dead.url}&n={number}" for number in range(600)]
        post.outbox.webhooks(*hung, well.url.replace("127.0.0.1", "localhost"))
        post.outbox.note(failed())
        notifier = post.notifier(seconds=3.0)
        assert notifier.run_once(NOW_MS) == 5
        for _ in range(100):
            if well.requests:
                break
            threading.Event().wait(0.02)
        assert len(well.requests) == 1
        assert notifier.run_once(NOW_MS) == 0
        dead.closing.set()
        assert notifier.wait(WAIT)


def test_a_system_without_threads_to_give_costs_no_room(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        notifier = post.notifier()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", none_left)
            with pytest.raises(RuntimeError):
                notifier.run_once(NOW_MS)
        assert notifier.wait(0)
        post.clock.ms += LEASE_MS
        assert post.empty(notifier) == 1

    assert post.outbox.states() == ["sent"]


def test_a_clock_set_back_an_hour_delays_no_fresh_alert(post: Post) -> None:
    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        post.clock.ms = NOW_MS - HOUR
        notifier = post.notifier()

        assert post.empty(notifier) == 1
        assert post.empty(notifier) == 0

    assert post.outbox.states() == ["sent"]
    assert len(receiver.requests) == 1


def test_a_claim_from_before_the_clock_was_set_back_runs_out(post: Post) -> None:
    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        claimed_by(post, "the dead one")
        post.clock.ms = NOW_MS - HOUR

        assert post.empty(post.notifier()) == 1

    assert len(receiver.requests) == 1


def test_what_is_on_its_way_since_the_clock_was_set_back_is_not_taken_back(post: Post) -> None:
    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed(deliver=NOW_MS + HOUR))
        post.clock.ms = NOW_MS - HOUR
        on_its_way = claimed_by(post, "a worker")
        post.outbox.note(recovered(at=NOW_MS - HOUR + 1, deliver=NOW_MS + HOUR))
        arrived = Attempt(post.clock.ms, 1)
        post.outbox.store.write(
            lambda connection: deliveries.finish(connection, on_its_way, arrived, 0.5)
        )
        post.clock.ms = NOW_MS + HOUR
        post.empty(post.notifier())

    assert post.outbox.states() == ["sent", "sent"]
    assert [request.json["event"] for request in receiver.requests] == ["tracker.recovered"]


def test_a_failed_attempt_is_not_repeated_at_once_because_the_clock_was_set_back(
    post: Post,
) -> None:
    with receiving(answering("500 Oops")) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        post.clock.ms = NOW_MS - HOUR
        notifier = post.notifier()

        assert post.empty(notifier) == 1

    assert len(receiver.requests) == 1


def test_without_a_mail_server_mail_is_held_and_goes_out_when_there_is_one(post: Post) -> None:
    post.outbox.note(failed())
    post.empty(post.notifier())

    (row,) = post.outbox.rows("deliveries")
    assert (row["state"], row["last_error"]) == ("held", "no SMTP server is configured")
    with taking_mail() as (box, server):
        post.clock.ms += DAY_MS - 1
        post.empty(post.notifier(server))

    assert box.receivers == ["ada@example.com"]
    assert post.outbox.states() == ["sent"]


def test_mail_that_was_held_for_a_day_is_given_up(post: Post) -> None:
    post.outbox.note(failed())
    post.empty(post.notifier())
    post.clock.ms += DAY_MS
    with taking_mail() as (box, server):
        post.empty(post.notifier(server))

    assert box.mails == []
    (row,) = post.outbox.rows("deliveries")
    assert (row["state"], row["last_error"]) == ("given-up", "no SMTP server is configured")


def test_mail_is_given_up_after_a_day_also_where_no_server_ever_comes(post: Post) -> None:
    notifier = post.notifier()
    post.outbox.note(failed())
    post.empty(notifier)
    post.clock.ms += DAY_MS
    post.empty(notifier)

    assert post.outbox.states() == ["given-up"]


def test_however_much_mail_is_held_all_of_it_goes_out(post: Post) -> None:
    for number in range(20, 140):
        post.outbox.another_tracker(number, f"job {number}")
    post.outbox.note(*(failed(tracker=number, run_id=None) for number in range(20, 140)))
    post.empty(post.notifier())
    assert set(post.outbox.states()) == {"held"}

    with taking_mail() as (box, server):
        notifier = post.notifier(server)
        while "held" in post.outbox.states():
            notifier.run_once(post.clock.ms)
        assert notifier.wait(WAIT)

    assert box.attempts <= 6  # one address gets one mail at a time
    assert set(post.outbox.states()) == {"waiting", "sent"}


def test_a_refused_receiver_is_given_up_at_once(post: Post) -> None:
    post.outbox.channel(("email", "unknown@example.com"))
    post.outbox.note(failed())
    with taking_mail() as (_box, server):
        post.empty(post.notifier(server))

    (row,) = post.outbox.rows("deliveries")
    assert (row["state"], row["attempts"]) == ("given-up", 1)
    assert "550" in row["last_error"]


def test_a_target_that_cannot_be_read_stops_nobody(post: Post) -> None:
    with receiving(answering()) as receiver:
        post.outbox.webhooks("http://192.0.2.1/", receiver.url)
        post.outbox.note(failed())
        post.outbox.store.write(
            lambda connection: connection.execute(
                text("UPDATE deliveries SET target = 'http://[' WHERE target LIKE '%192.0.2.1%'")
            )
        )
        post.empty(post.notifier())

    assert len(receiver.requests) == 1
    assert sorted(post.outbox.states()) == ["sent", "waiting"]


def test_a_deleted_tracker_is_told_of_no_more(post: Post) -> None:
    post.outbox.note(failed())
    post.outbox.store.write(lambda connection: channels.close(connection, ACCOUNT, TRACKER, NOW_MS))

    (row,) = post.outbox.rows("deliveries")
    assert (row["state"], row["last_error"]) == ("withdrawn", "its tracker was deleted")


def test_a_channel_that_was_removed_meanwhile_gets_nothing(post: Post) -> None:
    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        post.outbox.store.write(
            lambda connection: connection.execute(text("UPDATE channels SET removed_ms = 1"))
        )
        post.empty(post.notifier())

    assert receiver.requests == []
    assert post.outbox.states() == ["withdrawn"]


@pytest.mark.parametrize("broken", ["{}", "{", ""])
def test_what_cannot_be_made_is_a_failed_attempt_and_stops_nobody(broken: str, post: Post) -> None:
    with taking_mail() as (box, server):
        post.outbox.channel(("email", "a@example.com"), ("email", "b@example.com"))
        post.outbox.note(failed())
        post.outbox.store.write(
            lambda connection: connection.execute(
                text("UPDATE deliveries SET content = :broken WHERE target = 'a@example.com'"),
                {"broken": broken},
            )
        )
        post.empty(post.notifier(server))

    assert box.receivers == ["b@example.com"]
    rows = {row["target"]: row for row in post.outbox.rows("deliveries")}
    assert rows["a@example.com"]["state"] == "waiting"
    assert rows["a@example.com"]["last_error"] == "it could not be made: KeyError"


def test_a_delivery_is_sent_again_under_its_own_id(post: Post) -> None:
    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        notifier = post.notifier()
        post.empty(notifier)
        with post.outbox.store.read() as connection:
            found = delivery_log.find(
                connection, post.outbox.rows("deliveries")[0]["id"], [ACCOUNT]
            )
        assert found is not None
        again = found.delivery
        post.outbox.store.write(lambda connection: deliveries.send_again(connection, again, NOW_MS))
        post.empty(notifier)

    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert post.outbox.rows("deliveries")[0]["attempts"] == 2


def test_what_was_sent_is_kept_for_a_month_and_what_waits_for_longer(post: Post) -> None:
    month = 30 * DAY_MS
    with receiving(answering()) as receiver:
        post.outbox.webhooks(receiver.url)
        post.outbox.note(failed())
        post.empty(post.notifier())
    post.outbox.note(recovered(at=NOW_MS + 1, deliver=NOW_MS + 2 * month))
    done_ms = post.outbox.rows("deliveries")[0]["done_ms"]

    def prune(now_ms: int) -> int:
        return post.outbox.store.write(lambda connection: delivery_log.prune(connection, now_ms))

    assert prune(done_ms + month) == 0
    assert prune(done_ms + month + 1) == 1
    assert prune(done_ms + month + 1) == 0
    assert post.outbox.states() == ["waiting"]
    assert post.outbox.rows("delivery_attempts") == []


# From the table of docs/reference/webhooks.md.
@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 15), (3, 45), (4, 135), (5, 405), (6, 1215), (7, 3645), (8, 7200), (18, 7200)],
)
def test_waits_grow_up_to_two_hours_and_are_spread(attempts: int, seconds: int) -> None:
    assert wait_ms(attempts, 0.5) == seconds * 1000
    assert wait_ms(attempts, 0.0) == seconds * 800
    assert wait_ms(attempts, 1.0) == seconds * 1200


def test_no_receiver_is_obeyed_for_longer_than_a_day() -> None:
    attempt = Attempt(NOW_MS, 0, "answered 503", 503, retry_after_ms=9 * DAY_MS)

    following = after(attempt, 1, NOW_MS, 0.5)

    assert following.state is DeliveryState.WAITING
    assert following.next_ms == NOW_MS + DAY_MS


def _moment(ms: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms // 1000, UTC)
