"""Against a real server on loopback."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from telemhq_agents.delivery import download as downloading
from telemhq_agents.delivery.download import download
from telemhq_agents.errors import UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"prices " * 10_000


class Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/whole":
                self.answer(200, len(CONTENT), CONTENT)
            case "/cut":
                self.answer(200, len(CONTENT), CONTENT[:999])
            case "/moved":
                self.send_response(301)
                self.send_header("Location", "/whole")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case _:
                self.answer(404, 4, b"none")

    def answer(self, status: int, length: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.mark.parametrize("path", ["/whole", "/moved"])
def test_a_file_comes_whole(url: str, path: str) -> None:
    assert download(url + path) == CONTENT


@pytest.mark.parametrize(
    ("path", "said"), [("/cut", "cannot be reached"), ("/none", "answered 404")]
)
def test_what_is_not_whole_is_nothing(url: str, path: str, said: str) -> None:
    with pytest.raises(UnreachableError, match=said) as caught:
        download(url + path)

    assert url + path in caught.value.message


def test_nobody_there_is_said_with_the_address() -> None:
    with serving() as gone:
        pass

    with pytest.raises(UnreachableError) as caught:
        download(f"{gone}/whole")

    assert gone in caught.value.message


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "nothing://", "http://"])
def test_an_address_that_is_none_is_the_users_mistake(address: str) -> None:
    with pytest.raises(UsageError):
        download(address)


def test_a_file_without_end_is_not_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "MOST_BYTES", len(CONTENT) - 1)

    with pytest.raises(UnreachableError, match="larger"):
        download(f"{url}/whole")
