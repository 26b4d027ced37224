"""The snippets of docs/how-to/from-code.md, run as they stand, against a server that runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_first_use import Person, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "from-code.md"
SNIPPETS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
# As the vendors' API references show them: https://platform.openai.com/docs/api-reference/responses,
# https://docs.claude.com/en/api/messages.
ANSWERS = """
from types import SimpleNamespace as Record
response = Record(model="gpt-5.4", usage=Record(
    input_tokens=2006, input_tokens_details=Record(cached_tokens=1920),
    output_tokens=300, output_tokens_details=Record(reasoning_tokens=200), total_tokens=2306))
message = Record(model="claude-sonnet-4-6", usage=Record(
    input_tokens=21, cache_creation_input_tokens=188_086, cache_read_input_tokens=None,
    output_tokens=393))
ping(**of_openai(response))
ping(**of_claude(message))
"""


def snippets(kind: str) -> list[str]:
    return [body for told, body in SNIPPETS if told == kind]


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    somebody = Person(tmp_path_factory.mktemp("from-code") / "ada")
    key = somebody.run("server", "init", "--email", "ada@example.com").strip()
    with serving(somebody) as url:
        somebody.run("login", "--url", url, "--key-stdin", given=key)
        yield somebody


def recorded(ada: Person, name: str, command: list[str]) -> list[dict[str, Any]]:
    """Run a program with a tracker's ping URL and return the payloads that arrived, oldest first."""
    made = ada.asks("tracker", "create", name)
    environ = os.environ | {"PING_URL": made["ping_url"], "RUN_ID": name}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return [run["payload"] for run in reversed(ada.asks("tracker", "runs", name))]


def test_a_shell(ada: Person) -> None:
    [line] = snippets("sh")

    assert recorded(ada, "shell", ["sh", "-c", line + line]) == [
        {"project": "billing", "items_processed": 120}
    ]


def test_python_and_what_models_used(ada: Person) -> None:
    told = recorded(
        ada, "python", [sys.executable, "-c", "\n".join([*snippets("python"), ANSWERS])]
    )

    assert told[0] == {"project": "billing", "status": "success", "items_processed": 120}
    assert told[1] == {
        "provider": "openai",
        "model": "gpt-5.4",
        "input_tokens": 2006,
        "cached_input_tokens": 1920,
        "output_tokens": 300,
        "reasoning_tokens": 200,
    }
    assert told[2] == {
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "input_tokens": 188_107,
        "cached_input_tokens": 0,
        "cache_write_tokens": 188_086,
        "output_tokens": 393,
    }


def test_a_server_that_is_away_does_not_stop_a_python_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippets("python")[0]],
        env=os.environ | {"PING_URL": "http://127.0.0.1:9/ping/x"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert done.stdout.startswith("telemhq: ")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_node(ada: Person) -> None:
    [module] = snippets("js")

    told = recorded(ada, "node", ["node", "--input-type=module", "-e", module])

    assert told == [{"project": "billing", "status": "success", "items_processed": 120}]
