from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading

import pytest

from telemhq_agents.delivery.quick import Outcome, send
from tests.telemhq_agents.doors import Answer, dripping_door, open_door


def test_a_ping_arrives_with_its_key_and_body() -> None:
    with open_door() as door:
        answer = send(door.url + "?project=shop", "run:1", b'{"status":"success"}')

    assert answer.outcome is Outcome.DELIVERED
    assert door.seen == [("/ping/secret?project=shop", "run:1", b'{"status":"success"}')]
    assert door.content_types == ["application/json"]


def test_a_bare_heartbeat_has_no_body_and_no_type() -> None:
    with open_door() as door:
        assert send(door.url, "run:1", b"").outcome is Outcome.DELIVERED

    assert door.content_types == [""]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ((200, {"Idempotency-Replayed": "true"}, b"{}"), Outcome.DUPLICATE),
        ((200, {}, b"OK"), Outcome.DELIVERED),
        ((200, {}, b"<html>hotel</html>"), Outcome.LATER),
        ((408, {}, b""), Outcome.LATER),
        ((402, {}, b""), Outcome.LATER),
        ((429, {}, b""), Outcome.LATER),
        ((500, {}, b""), Outcome.LATER),
        ((503, {}, b""), Outcome.LATER),
        ((302, {"Location": "/"}, b""), Outcome.REFUSED),
        ((404, {}, b"no such tracker"), Outcome.REFUSED),
        ((422, {}, b""), Outcome.REFUSED),
        (None, Outcome.LATER),
    ],
)
def test_what_the_server_says_decides(said: Answer, outcome: Outcome) -> None:
    with open_door(lambda _key, _body: said) as door:
        answer = send(door.url, "run:1", b"{}")

    assert answer.outcome is outcome
    assert answer.sent
    assert answer.status == (said[0] if said else 0)


def test_a_closed_port_is_a_later_try_and_nothing_was_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    answer = send(f"http://127.0.0.1:{port}/ping/x", "run:1", b"{}")

    assert (answer.outcome, answer.sent) == (Outcome.LATER, False)
    assert answer.detail
    assert answer.detail == "Connection refused"


def test_a_server_that_never_answers_is_given_up_on() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/ping/x"

        answer = send(url, "run:1", b"{}", timeout_s=0.1)

    assert (answer.outcome, answer.sent) == (Outcome.LATER, True)


def test_an_address_that_is_silent_leaves_the_next_one_its_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    with open_door() as door, socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # beyond its queue, whoever connects hears nothing
            line = waiting.enter_context(socket.socket())
            line.settimeout(0)
            line.connect_ex(full.getsockname())
        port = int(door.url.split(":")[2].split("/")[0])
        places = [(*kind, full.getsockname()), (*kind, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)

        answer = send(door.url, "run:1", b"{}", timeout_s=4)

    assert answer.outcome is Outcome.DELIVERED


def test_a_connection_that_is_reset_is_a_later_try_of_what_may_have_arrived() -> None:
    def reset() -> None:
        line, _ = door.accept()
        line.recv(65_536)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()

    with socket.create_server(("127.0.0.1", 0)) as door:
        server = threading.Thread(target=reset)
        server.start()
        answer = send(f"http://127.0.0.1:{door.getsockname()[1]}/ping/x", "run:1", b"{}")
        server.join()

    assert (answer.outcome, answer.sent) == (Outcome.LATER, True)
    assert "reset" in answer.detail


def test_a_server_that_drips_its_answer_has_no_longer_than_one_that_is_silent() -> None:
    with dripping_door() as url:
        answer = send(url, "run:1", b"{}", timeout_s=0.3)

    assert (answer.outcome, answer.sent) == (Outcome.LATER, True)


def test_a_long_problem_is_told_in_its_own_words_all_the_same() -> None:
    body = b'{"type": "about:blank", "title": "Not today", "detail": "%b"}' % (b"x" * 1000)
    with open_door(lambda _key, _body: (422, {}, body)) as door:
        answer = send(door.url, "run:1", b"{}")

    assert answer.detail.startswith("Not today; xxx")


def test_what_a_problem_says_is_found_behind_any_length_of_other_things() -> None:
    errors = b'{"field": "a", "message": "b"},' * 500
    body = b'{"errors": [%b null], "title": "Gone", "next": "%b"}' % (errors, b"y " * 400)
    with open_door(lambda _key, _body: (410, {}, body)) as door:
        answer = send(door.url, "run:1", b"{}")

    assert answer.detail.startswith("Gone; y y")
    assert len(answer.detail) == 300


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/ping/x",
        "http:///ping/x",
        "http://user:pw@host/x",
        "http://host:port/x",
        "nonsense",
    ],
)
def test_an_address_that_is_none_raises_nothing(url: str) -> None:
    answer = send(url, "run:1", b"{}")

    assert (answer.outcome, answer.sent) == (Outcome.LATER, False)


def test_behind_a_proxy_the_full_client_sends() -> None:
    answer = send(
        "https://telemhq.test/ping/x", "k", b"{}", environ={"HTTPS_PROXY": "http://proxy.test:1"}
    )

    assert (answer.outcome, answer.sent) == (Outcome.LATER, False)


def test_loopback_needs_no_proxy() -> None:
    with open_door() as door:
        answer = send(door.url, "k", b"{}", environ={"http_proxy": "http://proxy.test:1"})

    assert answer.outcome is Outcome.DELIVERED


def test_a_key_that_no_header_can_hold_raises_nothing() -> None:
    with open_door() as door:
        assert send(door.url, "run:1\r\nX: y", b"{}").outcome is Outcome.LATER

    assert door.seen == []


def test_importing_it_loads_no_network_code() -> None:
    heavy = "{'http.client', 'ssl', 'socket', 'httpx', 'email', 'msgspec', 'asyncio'}"
    code = f"import sys, telemhq_agents.delivery.quick; print(sorted({heavy} & set(sys.modules)))"

    shown = subprocess.run(
        [sys.executable, "-S", "-c", _with_path(code)], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "[]"


def _with_path(code: str) -> str:
    return f"import sys; sys.path[:] = {sys.path!r}; {code}"
