from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from telemhq_cli.render import envelope, output, voice
from tests.envelopes import data_of, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILURE = {"kind": "usage", "message": "No.", "next_step": "telemhq --help", "exit_code": 2}


@dataclass(frozen=True)
class Pair:
    name: str
    tokens: int


@pytest.fixture(autouse=True)
def _no_command() -> Iterator[None]:
    envelope.end()
    yield
    envelope.end()


def begun(*words: str) -> None:
    envelope.begin(words)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["usage", "--json"], True),
        (["usage"], False),
        (["ping", "nightly", "--json", "--", "job"], True),
        (["ping", "nightly", "--", "job", "--json"], False),
        (["usage", "--jsonl"], False),
    ],
)
def test_what_follows_two_dashes_is_somebody_elses(arguments: list[str], asked: bool) -> None:
    assert envelope.is_asked_for(arguments) is asked


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (("tracker", "list"), "telemhq.tracker-list/1"),
        (("status-page", "create"), "telemhq.status-page-create/1"),
        ((), "telemhq/1"),
    ],
)
def test_a_document_is_named_by_its_command(words: tuple[str, ...], schema: str) -> None:
    assert envelope.made(words, [])["schema"] == schema


def test_a_document_that_names_its_own_schema_keeps_it() -> None:
    made = envelope.made(("usage",), {"schema": "telemhq.series/1", "points": []})

    assert made == {
        "schema": "telemhq.series/1",
        "data": {"points": []},
        "messages": [],
        "error": None,
    }


def test_records_become_objects(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_json([Pair("alpha", 7)])

    assert data_of(capsys.readouterr().out) == [{"name": "alpha", "tokens": 7}]


def test_a_warning_after_the_answer_is_in_the_document_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun("usage")
    voice.warn("one log cannot be read")
    output.show_json({"rows": []})
    voice.warn("another process reads the logs")
    early = capsys.readouterr()
    envelope.finish()

    assert early.out == ""
    assert early.err.count("telemhq: ") == 2
    assert opened(capsys.readouterr().out)["messages"] == [
        {"level": "warning", "text": "one log cannot be read"},
        {"level": "warning", "text": "another process reads the logs"},
    ]


def test_a_failure_after_the_answer_makes_no_second_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun("tracker", "apply")
    output.show_json({"applied": True})
    envelope.fail(dict(FAILURE))
    envelope.finish()
    envelope.finish()

    told = opened(capsys.readouterr().out)
    assert (told["data"], told["error"]) == ({"applied": True}, FAILURE)


def test_a_command_that_is_run_once_more_answers_once(capsys: pytest.CaptureFixture[str]) -> None:
    begun("usage")
    output.show_json({"rows": [1]})
    output.show_json({"rows": [1, 2]})
    envelope.finish()

    assert data_of(capsys.readouterr().out) == {"rows": [1, 2]}


def test_a_command_without_an_answer_prints_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    begun("usage")
    envelope.finish()

    assert capsys.readouterr().out == ""


def test_none_is_an_answer_too(capsys: pytest.CaptureFixture[str]) -> None:
    begun("config", "get")
    output.show_json(None)
    envelope.finish()

    assert data_of(capsys.readouterr().out) is None


def test_a_stream_has_one_object_a_line_and_says_its_end_on_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun("tracker", "runs")
    output.show_json_line({"id": "1"})
    output.show_json_line(Pair("beta", 2))
    envelope.fail(dict(FAILURE))
    envelope.finish()

    lines: list[Any] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == [{"id": "1"}, {"name": "beta", "tokens": 2}]
    assert lines[2]["error"] == FAILURE
    assert len(lines) == 3


def test_a_process_that_nobody_asks_for_json_gathers_no_warnings() -> None:
    voice.warn("one of many in a service that runs for months")

    assert voice.kept_warnings() == []
