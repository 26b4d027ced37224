"""`telemhq prices …`: listed, set, updated from a real server on loopback."""

from __future__ import annotations

import csv
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_agents.clock import from_iso
from tests.telemhq_agents.test_published_prices import document, model, provider
from tests.telemhq_cli.logs import CodexSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.telemhq_cli.commands.conftest import CommandLine

NOON = from_iso("2026-03-01T12:00:00Z")
NEWER = document(openai=provider("openai", model("gpt-5.4", {"input_mtok": 7, "output_mtok": 0})))


class Shelf:
    """What a server has to give: (status, announced length or None for the true one, body)."""

    def __init__(self) -> None:
        self.body = json.dumps(NEWER).encode()
        self.status = 200
        self.missing = 0
        self.url = ""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(shelf.status)
            self.send_header("Content-Length", str(len(shelf.body)))
            self.end_headers()
            self.wfile.write(shelf.body[: len(shelf.body) - shelf.missing])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shelf.url = f"http://127.0.0.1:{http.server_address[1]}/data.json"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield shelf
    http.shutdown()
    http.server_close()
    thread.join()


def rows(telemhq: CommandLine, pattern: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = telemhq.asks("prices", "list", "--model", pattern)
    return found


def cost(telemhq: CommandLine) -> float:
    return float(telemhq.asks("usage")["total"]["cost_usd"])


def test_the_list_is_narrowed_by_a_pattern_and_speaks_every_form(telemhq: CommandLine) -> None:
    """Anthropic's list: Opus 4.8 5 / 25, cache writes 6.25 and 10, cache reads 0.50."""
    text = telemhq("prices", "list", "--model", "claude-opus-4-8").out
    table = list(
        csv.DictReader(io.StringIO(telemhq("prices", "list", "--model", "claude-*", "--csv").out))
    )

    (opus,) = [row for row in rows(telemhq, "claude-opus-4-8") if row["provider"] == "anthropic"]
    assert (opus["input"], opus["output"], opus["cached_input"]) == (5.0, 25.0, 0.5)
    assert (opus["cache_write"], opus["cache_write_1h"]) == (6.25, 10.0)
    assert opus["source"].startswith("built-in: genai-prices")
    assert "6.25" in text
    assert len(table) > 20
    assert all(row["model"].startswith("claude-") for row in table)
    assert len(rows(telemhq, "*")) > 1000
    assert "telemhq prices set" in telemhq("prices", "list", "--model", "nimbus-*").out


def test_a_price_of_ones_own_prices_what_is_read_from_then_on(telemhq: CommandLine) -> None:
    telemhq(
        *("prices", "set", "gpt-5.4", "--input", "10", "--output", "0", "--from", "2026-03-01"),
        *("--cached", "1", "--cache-write", "12.5", "--cache-write-1h", "20"),
    )
    CodexSession(telemhq.machine.home / "codex", NOON).turn(NOON, 1_000_000, 10)

    own = [row for row in rows(telemhq, "gpt-5.4") if row["source"] == "yours"]

    assert cost(telemhq) == 10.0
    assert [(row["since"], row["input"], row["cache_write_1h"]) for row in own] == [
        ("2026-03-01", 10.0, 20.0)
    ]
    assert telemhq("prices", "unset", "GPT-5.4").out == "1 price of GPT-5.4 taken out.\n"
    assert all(row["source"] != "yours" for row in rows(telemhq, "gpt-5.4"))
    assert cost(telemhq) == 10.0  # frozen


def test_comments_that_go_with_a_price_are_told(telemhq: CommandLine) -> None:
    telemhq("prices", "set", "m", "--input", "1", "--output", "2")
    file = telemhq.machine.ours / "prices.toml"
    file.write_text("# first of all\n" + file.read_text().replace("2.0", "2.0 # agreed in May"))

    done = telemhq("prices", "set", "m", "--input", "3", "--output", "4")

    assert "# agreed in May" in done.err
    assert "# first of all" not in done.err
    assert file.read_text().startswith("# first of all\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["set", "m", "--input", "1"], "--output"),
        (["set", "m", "--input", "dear", "--output", "1"], "--input must be a number"),
        (["set", "m", "--input", "-1", "--output", "1"], "no price"),
        (["set", "m", "--input", "inf", "--output", "1"], "no price"),
        (["set", "m", "--input", "1", "--output", "1e9"], "0 to 4,000"),
        (["set", "m", "--input", "1", "--output", "1", "--from", "soon"], "no day"),
        (["set", " ", "--input", "1", "--output", "1"], "name of a model"),
        (["unset", "m"], "no price of yours"),
        (["update", "--from", "/nowhere/at/all"], "cannot be read"),
        (["update", "--from", "ftp://127.0.0.1/x"], "no address"),
    ],
)
def test_a_mistake_with_prices_ends_with_2_and_changes_nothing(
    telemhq: CommandLine, arguments: list[str], said: str
) -> None:
    done = telemhq("prices", *arguments, code=2)

    assert said in done.complaint
    assert not (telemhq.machine.ours / "prices.toml").exists()
    assert not (telemhq.machine.ours / "prices.json").exists()


@pytest.mark.parametrize("by_file", [False, True])
def test_an_update_prices_what_is_read_from_then_on(
    telemhq: CommandLine, shelf: Shelf, tmp_path: Path, by_file: bool
) -> None:
    session = CodexSession(telemhq.machine.home / "codex", NOON)
    session.turn(NOON, 1_000_000, 0)
    before = cost(telemhq)  # OpenAI's list: GPT-5.4 5.00 above 272,000 input tokens
    file = tmp_path / "data.json"
    file.write_bytes(shelf.body)

    done = telemhq.asks("prices", "update", "--from", str(file) if by_file else shelf.url)
    session.turn(NOON + 60_000, 1_000_000, 0)

    assert done["models"] == 3
    assert before == 5.0
    assert cost(telemhq) == before + 7.0
    (row,) = rows(telemhq, "gpt-5.4")
    assert (row["input"], row["source"].split(":")[0]) == (7.0, "downloaded")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"missing": 10}, 6),
        ({"status": 404}, 6),
        ({"status": 500}, 6),
        ({"body": b"<html>please log in</html>"}, 2),
        ({"body": json.dumps(NEWER).encode()[:-10]}, 2),
        ({"body": b"[]"}, 2),
        ({"body": json.dumps(NEWER[:1]).encode()}, 2),
    ],
)
def test_an_update_that_is_not_whole_changes_nothing(
    telemhq: CommandLine, shelf: Shelf, changes: dict[str, Any], code: int
) -> None:
    telemhq("prices", "update", "--from", shelf.url)
    held = (telemhq.machine.ours / "prices.json").read_bytes()
    for name, value in changes.items():
        setattr(shelf, name, value)

    done = telemhq("prices", "update", "--from", shelf.url, code=code)

    assert shelf.url in done.complaint
    assert (telemhq.machine.ours / "prices.json").read_bytes() == held
    assert [one.name for one in telemhq.machine.ours.glob(".prices*")] == []


def test_without_a_network_an_update_says_so(telemhq: CommandLine) -> None:
    done = telemhq("prices", "update", "--from", "http://127.0.0.1:9/data.json", code=6)

    assert "cannot be reached" in done.complaint
    assert not (telemhq.machine.ours / "prices.json").exists()


def test_a_damaged_download_is_mended_by_the_command_that_it_names(
    telemhq: CommandLine, shelf: Shelf
) -> None:
    telemhq("prices", "update", "--from", shelf.url)
    (telemhq.machine.ours / "prices.json").write_text("{")

    refused = telemhq("prices", "list", code=3)
    telemhq("prices", "update", "--from", shelf.url)

    assert "telemhq prices update" in refused.complaint
    assert rows(telemhq, "gpt-5.4")[0]["input"] == 7.0
