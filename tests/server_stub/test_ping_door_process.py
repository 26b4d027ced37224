"""The server as a process of its own: how it starts and ends (test_faults.py: how it is killed)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import func, select

from server_stub.run import make_server
from server_stub.settings import Settings
from server_stub.store.engine import reading_engine
from server_stub.store.tables import buckets, runs
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.server_stub.conftest import LiveServer

END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'"
SERVE = """
import sys
from server_stub.run import serve
from server_stub.settings import load
serve(load(), ready=lambda url: print(url, flush=True))
"""


@pytest.fixture
def start(database_url: str) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts server processes on the test's database."""
    started: list[subprocess.Popen[str]] = []

    def run() -> subprocess.Popen[str]:
        environ = os.environ | {"TELEMHQ_DATABASE_URL": database_url, "TELEMHQ_PORT": "0"}
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def stored(database_url: str) -> tuple[int, int]:
    """How many runs are stored, and how many the buckets sum up to."""
    engine = reading_engine(database_url)
    with engine.connect() as connection, connection.begin():
        count = connection.execute(select(func.count()).select_from(runs)).scalar_one()
        summed = connection.execute(select(func.sum(buckets.c.runs))).scalar_one()
    engine.dispose()
    return count, int(summed or 0)


def send_until_it_dies(
    url: str, keys: list[str], tls: ssl.SSLContext, acknowledged: set[str]
) -> None:
    with httpx.Client(verify=tls, trust_env=False) as client:
        for key in keys:
            try:
                answer = client.post(f"{url}/ping/tok", headers={"Idempotency-Key": key})
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                acknowledged.add(key)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_ends_well_and_says_nothing(
    told: signal.Signals,
    start: Callable[[], subprocess.Popen[str]],
    add_tracker: Callable[..., str],
    database_url: str,
    no_certificates: ssl.SSLContext,
) -> None:
    add_tracker("tok")
    process = start()
    acknowledged: set[str] = set()
    send_until_it_dies(url_of(process), ["a", "b"], no_certificates, acknowledged)

    process.send_signal(told)
    said, complained = process.communicate(timeout=20)

    assert (process.returncode, said, complained) == (0, "", "")
    assert stored(database_url) == (2, 2)


def test_a_port_that_is_taken_is_named(tmp_path: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environ = os.environ | {"TELEMHQ_HOME": str(tmp_path), "TELEMHQ_PORT": port}
        done = subprocess.run(
            [sys.executable, "-c", SERVE], env=environ, capture_output=True, text=True, check=False
        )

    assert done.returncode != 0
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "no-such-host.invalid"])
def test_a_host_that_is_none_is_named(host: str, sqlite_url: str) -> None:
    with pytest.raises(SettingsError, match=f"cannot listen on {host}") as caught:
        make_server(Settings(database_url=sqlite_url, host=host, port=0), print)

    assert "TELEMHQ_HOST" in caught.value.next_step


@pytest.mark.parametrize(
    ("host", "public_url", "warned"),
    [
        ("127.0.0.1", "", False),
        ("0.0.0.0", "", True),
        ("0.0.0.0", "https://telemhq.example.com", False),
    ],
)
def test_who_listens_to_others_without_a_public_url_is_warned(
    *, host: str, public_url: str, warned: bool, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = Settings(database_url=sqlite_url, host=host, port=0, public_url=public_url)

    _, bound = make_server(told, print)

    bound.close()
    assert ("TELEMHQ_PUBLIC_URL is not set" in caplog.text) is warned


def test_a_first_start_makes_the_embedded_database(
    tmp_path: Any, no_certificates: ssl.SSLContext
) -> None:
    environ = {**os.environ, "TELEMHQ_HOME": str(tmp_path), "TELEMHQ_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environ, stdout=subprocess.PIPE, text=True
    )

    answer = httpx.get(f"{url_of(process)}/healthz", verify=no_certificates, trust_env=False)

    process.terminate()
    process.communicate(timeout=20)
    assert answer.json() == {"ok": True}
    assert (tmp_path / "server" / "telemhq.sqlite3").exists()


def test_a_database_that_goes_away_is_a_503_with_retry_after_until_it_is_back(
    own_postgres_url: str,
    postgres_admin: Callable[[str], None],
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]],
    no_certificates: ssl.SSLContext,
) -> None:
    name = own_postgres_url.split("@/")[1].partition("?")[0]
    with (
        run_server(Settings(database_url=own_postgres_url, port=0)) as live,
        httpx.Client(base_url=live.url, verify=no_certificates, trust_env=False) as client,
    ):
        before = client.post("/ping/nobody").status_code
        postgres_admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_admin(END_ALL % name)
        away = [client.post("/ping/nobody"), client.get("/ping/nobody"), client.get("/healthz")]
        postgres_admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        after = [client.post("/ping/nobody"), client.get("/ping/nobody"), client.get("/healthz")]

    assert before == 404
    assert [answer.status_code for answer in away] == [503, 503, 503]
    assert all(answer.headers["retry-after"] == "2" for answer in away)
    assert {answer.headers["content-type"] for answer in away} == {"application/problem+json"}
    assert [answer.status_code for answer in after] == [404, 404, 200]
