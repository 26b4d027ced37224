"""What sessions say of their own cost, beside their lines and beside what was really asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from claude_code_hooks.scan import scan
from telemhq_agents.background import Kind, rests, sums

if TYPE_CHECKING:
    from pathlib import Path

    from telemhq_agents.background import Rest
    from telemhq_agents.usage import SessionTotal
    from tests.claude_code_hooks.conftest import Home, Lines, MemoryLedger, PlainNamer

OPUS = "claude-opus-5-5"


def rests_of(ledger: MemoryLedger, session: str) -> list[Rest]:
    totals = [each for each in ledger.session_totals.values() if each.session_id == session]
    facts = [fact for fact in ledger.facts.values() if fact.session_id == session]
    return rests(totals, sums(facts))


def only_total(home: Home) -> SessionTotal:
    (total,) = home.ledger.session_totals.values()
    return total


@pytest.mark.parametrize("version", ["2.1.328"])
def test_the_background_of_real_sessions_is_what_stands_in_no_line(
    version: str, fixtures: Path, new_ledger: type[MemoryLedger], new_namer: type[PlainNamer]
) -> None:
    folder = fixtures / version
    ledger = new_ledger()

    scan(ledger, [folder / "home"], new_namer(), now_ms=1_800_000_000_000)

    sessions = {fact.session_id for fact in ledger.facts.values()}
    found = [rest for session in sessions for rest in rests_of(ledger, session)]
    truth = json.loads((folder / "truth.json").read_text())["background"]
    assert {rest.kind for rest in found} == {Kind.BACKGROUND}
    assert {
        (rest.session_id, rest.model): (
            rest.input_tokens - rest.cached_input_tokens - rest.cache_write_tokens,
            rest.cached_input_tokens,
            rest.cache_write_tokens,
            rest.cache_write_1h_tokens,
            rest.output_tokens,
        )
        for rest in found
    } == {
        (row["session_id"], row["model"]): (
            row["input_tokens"],
            row["cache_read_input_tokens"],
            row["cache_creation_input_tokens"],
            row["cache_creation_1h"],
            row["output_tokens"],
        )
        for row in truth
    }
    assert len(found) == len(truth) == 2


def test_input_of_a_total_includes_the_cache(home: Home, lines: Lines) -> None:
    state = lines.cost_state(
        input=7, output=9, read=100, cacheCreationInputTokens=30,
        cacheCreationEphemeral5mInputTokens=10, cacheCreationEphemeral1hInputTokens=20,
        thinkingTokens=4,
    )  # fmt: skip
    home.write("s1", [lines.prompt(1), lines.reply(2), state])

    home.scan()

    total = only_total(home)
    assert (total.input_tokens, total.cached_input_tokens) == (137, 100)
    assert (total.cache_write_tokens, total.cache_write_1h_tokens) == (30, 20)
    assert (total.output_tokens, total.reasoning_tokens) == (9, 4)
    assert (total.session_id, total.model, total.is_complete) == ("s1", OPUS, True)
    assert total.place.cwd == "/home/dev/repo"


def test_the_last_word_of_a_session_holds_all_before_it(home: Home, lines: Lines) -> None:
    first, last = lines.cost_state(input=7), lines.cost_state(input=20)
    home.write("s1", [lines.prompt(1), lines.reply(2), first, first])
    home.scan()
    home.append("s1", lines.prompt(3), lines.reply(4, "msg_2"), last, last)
    home.scan()

    assert (only_total(home).input_tokens, only_total(home).is_complete) == (20, True)


def followed(lines: Lines) -> dict[str, list[dict[str, Any]]]:
    return {
        "a reply": [lines.reply(3, "msg_2")],
        "a prompt whose reply never came": [lines.prompt(3)],
        "another block of the reply": [lines.reply(3)],
    }


@pytest.mark.parametrize(
    "what", ["a reply", "a prompt whose reply never came", "another block of the reply"]
)
@pytest.mark.parametrize("steps", [1, 2])
def test_a_total_that_was_followed_is_not_complete(
    what: str, steps: int, home: Home, lines: Lines
) -> None:
    before = [lines.prompt(1), lines.reply(2), lines.cost_state(input=9000)]
    home.write("s1", before)
    if steps > 1:
        home.scan()
        assert only_total(home).is_complete
    home.append("s1", *followed(lines)[what])

    home.scan()

    assert not only_total(home).is_complete


@pytest.mark.parametrize("what", ["an aborted reply", "an interrupt", "a tool's call"])
def test_a_total_of_interrupted_work_is_not_complete(what: str, home: Home, lines: Lines) -> None:
    cut = {
        "an aborted reply": lines.reply(3, "msg_2", stop=None, isAbortedMidStream=True),
        "an interrupt": lines.prompt(3, "[Request interrupted by user]", promptSource=...),
        "a tool's call": lines.reply(3, "msg_2", stop="tool_use"),
    }
    spent = lines.cost_state(input=9000, output=900, read=9000, cacheCreationInputTokens=900)
    home.write("s1", [lines.prompt(1), lines.reply(2), cut[what], spent])

    home.scan()

    (rest,) = rests_of(home.ledger, "s1")
    assert not only_total(home).is_complete
    assert rest.kind is Kind.UNEXPLAINED


@pytest.mark.parametrize(
    "copied", [{"requestSessionId": "s1"}, {"sessionId": "s1"}], ids=["marked", "as it was"]
)
def test_a_forks_total_is_its_parents_too_and_tells_nothing(
    copied: dict[str, str], home: Home, lines: Lines
) -> None:
    fork: dict[str, Any] = {"sessionId": "s2"}
    home.write(
        "s2",
        [
            lines.prompt(1, **fork),
            lines.reply(2, **{**fork, **copied}),
            lines.prompt(9, **fork),
            lines.reply(10, "msg_2", **fork),
            {**lines.cost_state(input=9000), **fork},
        ],
    )

    home.scan()

    assert (only_total(home).input_tokens, only_total(home).is_complete) == (0, False)
    assert rests_of(home.ledger, "s2") == []


def test_a_model_goes_by_the_name_under_which_it_answers(home: Home, lines: Lines) -> None:
    asked = "opus[1m]"
    home.write(
        "s1",
        [
            lines.prompt(1),
            lines.reply(2, requestedModel=asked),
            lines.cost_state(asked, input=50, read=2000, output=60, cacheCreationInputTokens=300),
        ],
    )

    home.scan()

    assert only_total(home).model == OPUS
    (rest,) = rests_of(home.ledger, "s1")
    assert (rest.kind, rest.input_tokens, rest.output_tokens) == (Kind.BACKGROUND, 40, 10)


def test_two_names_of_one_model_add_up(home: Home, lines: Lines) -> None:
    spent = lines.cost_state("opus[1m]", input=50)["modelUsage"]
    spent |= lines.cost_state(OPUS, input=7)["modelUsage"]
    home.write(
        "s1",
        [
            lines.prompt(1),
            lines.reply(2, requestedModel="opus[1m]"),
            {**lines.cost_state(), "modelUsage": spent},
        ],
    )

    home.scan()

    assert only_total(home).input_tokens == 57


def test_where_several_models_answered_for_one_nothing_is_sure(home: Home, lines: Lines) -> None:
    home.write(
        "s1",
        [
            lines.prompt(1),
            lines.reply(2, requestedModel="opus"),
            lines.reply(3, "msg_2", requestedModel="opus", model="claude-sonnet-5"),
            lines.cost_state("opus", input=50),
        ],
    )

    home.scan()

    assert not only_total(home).is_complete
    assert rests_of(home.ledger, "s1") == []


def test_a_total_waits_for_the_directory_that_it_belongs_to(home: Home, lines: Lines) -> None:
    home.write("s1", [lines.cost_state(input=5)])
    home.scan()
    assert home.ledger.session_totals == {}

    home.append("s1", lines.prompt(1), lines.reply(2))
    home.scan()

    assert only_total(home).place.cwd == "/home/dev/repo"
