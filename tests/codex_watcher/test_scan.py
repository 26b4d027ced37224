from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from codex_watcher.scan import plan, scan
from telemhq_agents import clock
from telemhq_agents.collecting import ScanReport
from telemhq_agents.ledger.records import Batch
from telemhq_agents.usage import Place, TurnStatus
from tests.codex_watcher.in_memory import FolderNamer, InMemoryLedger

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "codex"
VERSIONS = ["0.98.0", "0.145.0", "0.169.0"]
MUCH_LATER = 1_900_000_000_000
FORK_WITHOUT_IDS = "01a1f7ed-6ebf-7660-9362-79e16f814bd2"
COUNTED = {
    "input_tokens": "input_tokens",
    "cached_input_tokens": "cached_input_tokens",
    "output_tokens": "output_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
}


def copy_of(version: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / version / "home", tmp_path / version))


def truth_of(version: str) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((FIXTURES / version / "truth.json").read_text())
    return truth


def read(
    ledger: InMemoryLedger, home: Path, only: Path | None = None, now_ms: int = MUCH_LATER
) -> ScanReport:
    chosen = None if only is None else [only]
    return scan(ledger, home, FolderNamer(), now_ms=now_ms, only=chosen)


def ledger_of(home: Path) -> InMemoryLedger:
    ledger = InMemoryLedger()
    read(ledger, home)
    return ledger


def assert_same(ledger: InMemoryLedger, other: InMemoryLedger) -> None:
    assert ledger.facts == other.facts
    assert ledger.turns == other.turns


def sums(ledger: InMemoryLedger, **where: str) -> dict[str, int]:
    facts = [
        fact
        for fact in ledger.facts.values()
        if all(getattr(fact, name) == value for name, value in where.items())
    ]
    found = {name: sum(getattr(fact, own) for fact in facts) for name, own in COUNTED.items()}
    return {"responses": len(facts), **found}


def wanted(*truths: dict[str, int]) -> dict[str, int]:
    return {name: sum(truth[name] for truth in truths) for name in ("responses", *COUNTED)}


def logs(home: Path) -> list[Path]:
    return sorted(path for path in home.rglob("rollout-*") if path.is_file())


def with_file(version: str) -> dict[str, Any]:
    names = " ".join(path.name for path in logs(FIXTURES / version))
    threads = truth_of(version)["threads"]
    return {thread: truth for thread, truth in threads.items() if thread in names}


def billed(truth: dict[str, Any]) -> list[dict[str, int]]:
    """Return what one thread was billed; 0.169 also writes down cut-off responses."""
    cut_off = truth["incomplete"] if truth["incomplete"]["total_tokens"] else {}
    return [truth["total"], *([cut_off] if cut_off else [])]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_thread_sums_to_what_it_was_billed(version: str) -> None:
    ledger = ledger_of(FIXTURES / version / "home")

    threads = with_file(version)
    assert len(threads) >= 6
    for thread, truth in threads.items():
        without = wanted(truth["total"])
        assert sums(ledger, thread_id=thread) in (without, wanted(*billed(truth))), thread
        assert {fact.session_id for fact in ledger.facts.values() if fact.thread_id == thread} <= {
            truth["session"]
        }


@pytest.mark.parametrize("version", VERSIONS)
def test_every_thread_and_model_sums_to_what_it_was_billed(version: str) -> None:
    ledger = ledger_of(FIXTURES / version / "home")

    for thread, truth in with_file(version).items():
        for model, true in truth["by_model"].items():
            assert sums(ledger, thread_id=thread, model=model) == wanted(true), (thread, model)
    assert all(fact.model != "unknown" for fact in ledger.facts.values())


@pytest.mark.parametrize("version", ["0.145.0", "0.169.0"])
def test_every_turn_has_the_usage_that_it_was_billed(version: str) -> None:
    ledger = ledger_of(FIXTURES / version / "home")

    for thread, truth in with_file(version).items():
        for turn, true in truth["by_turn"].items():
            key = f"codex:{thread}:{turn}"
            assert sums(ledger, turn_key=key) == wanted(true), key
            assert key in ledger.turns


@pytest.mark.parametrize(
    ("version", "success", "error", "interrupted", "running"),
    [("0.98.0", 11, 0, 0, 0), ("0.145.0", 47, 5, 2, 1), ("0.169.0", 49, 4, 2, 1)],
)
def test_every_own_turn_is_a_run_and_ended_as_the_log_says(
    version: str, success: int, error: int, interrupted: int, running: int
) -> None:
    ledger = ledger_of(FIXTURES / version / "home")

    states = [turn.status for turn in ledger.turns.values()]
    assert states.count(TurnStatus.SUCCESS) == success
    assert states.count(TurnStatus.ERROR) == error
    assert states.count(TurnStatus.INTERRUPTED) == interrupted
    assert states.count(TurnStatus.RUNNING) == running
    assert {fact.turn_key for fact in ledger.facts.values()} <= ledger.turns.keys()


def test_turns_that_failed_tell_the_kind_of_failure() -> None:
    ledger = ledger_of(FIXTURES / "0.169.0" / "home")
    failed = [turn for turn in ledger.turns.values() if turn.status is TurnStatus.ERROR]

    assert {turn.failure for turn in failed} == {"other", "response_too_many_failed_attempts"}
    assert {turn.failure for turn in ledger.turns.values() if turn not in failed} == {""}


@pytest.mark.parametrize("version", VERSIONS)
def test_reading_again_adds_nothing_and_opens_nothing(version: str, tmp_path: Path) -> None:
    home = copy_of(version, tmp_path)
    ledger = InMemoryLedger()

    first, again = read(ledger, home), read(ledger, home)

    assert first.files == first.files_read == len(logs(home))
    assert (first.bad_lines, first.problems) == (0, [])
    assert first.new_facts == len(ledger.facts)
    assert again == ScanReport(files=first.files)


@pytest.mark.parametrize("version", VERSIONS)
def test_archiving_adds_nothing_and_reads_nothing(version: str, tmp_path: Path) -> None:
    home = copy_of(version, tmp_path)
    ledger = ledger_of(home)

    for path in logs(home / "sessions"):
        (home / "archived_sessions").mkdir(exist_ok=True)
        path.rename(home / "archived_sessions" / path.name)

    assert read(ledger, home) == ScanReport(files=len(logs(home)))


@pytest.mark.parametrize("version", VERSIONS)
def test_compressing_adds_nothing(version: str, tmp_path: Path) -> None:
    home = copy_of(version, tmp_path)
    ledger = ledger_of(home)
    before = (dict(ledger.facts), dict(ledger.turns))

    for path in logs(home):
        packed = zstandard.ZstdCompressor(level=3).compress(path.read_bytes())
        path.with_name(path.name + ".zst").write_bytes(packed)
        path.unlink()
    report = read(ledger, home)

    assert (report.files_read, report.new_facts, report.changed_facts) == (report.files, 0, 0)
    assert (ledger.facts, ledger.turns) == before
    assert_same(ledger_of(home), ledger)


def migrate(path: Path) -> None:
    """Rewrite a log as Codex's own migration does: new inode, old time, ordinals, one meta."""
    status = path.stat()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    own = lines[0]["payload"]["id"]
    lines[0]["payload"]["history_mode"] = "paginated"
    kept = [
        line for line in lines if line["type"] != "session_meta" or line["payload"]["id"] == own
    ]
    new = path.with_suffix(".new")
    new.write_text(
        "".join(
            json.dumps({"timestamp": line["timestamp"], "ordinal": number, **line}) + "\n"
            for number, line in enumerate(kept)
        )
    )
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_migrating_in_place_adds_nothing(version: str, tmp_path: Path) -> None:
    home = copy_of(version, tmp_path)
    ledger = ledger_of(home)
    before = (dict(ledger.facts), dict(ledger.turns))

    for path in logs(home):
        migrate(path)
    report = read(ledger, home)

    assert (report.files_read, report.new_facts, report.changed_facts) == (report.files, 0, 0)
    assert (ledger.facts, ledger.turns) == before
    assert_same(ledger_of(home), ledger)


class MigratingNamer(FolderNamer):
    """Stands for Codex: its migration rewrites the log while it is being read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def place(self, cwd: str, repository: str = "") -> Place:
        if not self.asked:
            migrate(self.path)
        return super().place(cwd, repository)


def test_a_log_exchanged_while_it_is_read_is_left_to_the_next_scan(tmp_path: Path) -> None:
    home, path, _ = plain_log(tmp_path)
    whole, ledger = ledger_of(home), InMemoryLedger()

    during = scan(ledger, home, MigratingNamer(path), now_ms=MUCH_LATER)
    assert (during.new_facts, ledger.cursors_by_key, during.problems) == (0, {}, [])

    read(ledger, home)
    assert_same(ledger, whole)


@pytest.mark.parametrize("version", VERSIONS)
def test_two_copies_of_a_home_make_the_same_keys(version: str, tmp_path: Path) -> None:
    ledger = ledger_of(FIXTURES / version / "home")

    report = read(ledger, copy_of(version, tmp_path))

    assert (report.files_read, report.new_facts, report.changed_facts) == (report.files, 0, 0)


def plain_log(tmp_path: Path, name: str = "a.jsonl") -> tuple[Path, Path, list[bytes]]:
    """Return a home with one small real log, its path and its lines."""
    thread = next(thread for thread, truth in with_file("0.169.0").items() if truth["total"])
    (source,) = (FIXTURES / "0.169.0" / "home").rglob(f"*-{thread}.jsonl")
    path = tmp_path / "home" / "sessions" / (name if name != "a.jsonl" else source.name)
    path.parent.mkdir(parents=True)
    path.write_bytes(source.read_bytes())
    return tmp_path / "home", path, source.read_bytes().splitlines(keepends=True)


def test_a_half_written_last_line_waits_for_its_end(tmp_path: Path) -> None:
    home, path, lines = plain_log(tmp_path)
    whole = ledger_of(home)
    at = next(number for number, line in enumerate(lines) if b'"token_usage_record"' in line)
    path.write_bytes(b"".join(lines[:at]) + lines[at][:-9])
    ledger = InMemoryLedger()

    before = read(ledger, home)
    with path.open("ab") as writer:
        writer.write(lines[at][-9:] + b"".join(lines[at + 1 :]))
    after = read(ledger, home)

    assert (before.new_facts, before.bad_lines) == (0, 0)
    assert (after.new_facts, after.bad_lines) == (3, 0)
    assert_same(ledger, whole)


def test_a_grown_log_costs_only_its_growth(tmp_path: Path) -> None:
    home, path, lines = plain_log(tmp_path)
    path.write_bytes(b"".join(lines[:-5]))
    ledger = ledger_of(home)

    with path.open("ab") as writer:
        writer.write(b"".join(lines[-5:]))

    assert read(ledger, home).lines == 5


def test_a_truncated_log_is_read_anew_and_takes_nothing_away(tmp_path: Path) -> None:
    home, path, lines = plain_log(tmp_path)
    ledger = ledger_of(home)
    before = dict(ledger.facts)

    path.write_bytes(b"".join(lines[:12]))
    report = read(ledger, home)

    assert (report.lines, report.new_facts, report.changed_facts) == (12, 0, 0)
    assert ledger.facts == before


def test_a_changed_rule_reads_everything_anew(tmp_path: Path) -> None:
    home, _, lines = plain_log(tmp_path)
    ledger = ledger_of(home)
    for key, cursor in ledger.cursors_by_key.items():
        ledger.cursors_by_key[key] = replace(cursor, state={**cursor.state, "rule_version": 0})

    assert read(ledger, home).lines == len(lines)


def test_a_changed_rule_empties_what_it_kept_of_logs_that_are_gone(tmp_path: Path) -> None:
    home, path, lines = plain_log(tmp_path)
    ledger = ledger_of(home)
    (key,) = ledger.cursors_by_key
    cursor, facts = ledger.cursors_by_key[key], dict(ledger.facts)
    old = {**cursor.state, "rule_version": 1, "repository_url": "https://x:SECRETGIT@h/a/b"}
    ledger.cursors_by_key[key] = replace(cursor, state=old)
    path.rename(tmp_path / "kept")

    read(ledger, home)
    emptied = ledger.cursors_by_key[key]
    (tmp_path / "kept").rename(path)
    back = read(ledger, home)

    assert emptied.state == {}
    assert (back.lines, back.new_facts, ledger.facts) == (len(lines), 0, facts)


def test_a_cursor_whose_state_makes_no_sense_is_not_trusted(tmp_path: Path) -> None:
    home, path, lines = plain_log(tmp_path)
    ledger = ledger_of(home)
    for key, cursor in ledger.cursors_by_key.items():
        ledger.cursors_by_key[key] = replace(cursor, state={**cursor.state, "base": "no"})
    os.utime(path, ns=(1, 1))

    report = read(ledger, home)

    assert (report.lines, report.new_facts) == (len(lines), 0)


def test_a_log_of_another_program_without_uuids_is_counted(tmp_path: Path) -> None:
    home, path, lines = plain_log(tmp_path, "rollout-fast-agent-7.jsonl")
    thread = json.loads(lines[0])["payload"]["id"]
    path.write_bytes(b"".join(lines).replace(thread.encode(), b"fast-agent-7"))

    ledger = ledger_of(home)

    assert sums(ledger, thread_id="fast-agent-7")["responses"] == 3


def test_only_the_named_log_is_read_when_one_is_named(tmp_path: Path) -> None:
    home = copy_of("0.145.0", tmp_path)
    path = logs(home)[3]

    report = read(InMemoryLedger(), home, only=path)

    assert (report.files, report.files_read) == (1, 1)
    assert report.lines == len(path.read_bytes().splitlines())


def test_a_log_that_cannot_be_read_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    home, path, _ = plain_log(tmp_path)
    damaged = path.with_name("rollout-x.jsonl.zst")
    damaged.write_bytes(b"no zstd")

    report = read(InMemoryLedger(), home)

    assert (report.new_facts, len(report.problems)) == (3, 1)
    assert str(damaged) in report.problems[0]


def test_a_home_without_logs_is_no_problem(tmp_path: Path) -> None:
    assert read(InMemoryLedger(), tmp_path) == ScanReport()


def test_a_fork_without_turn_ids_books_nothing_before_its_own_first_spend(tmp_path: Path) -> None:
    home = copy_of("0.98.0", tmp_path)
    (path,) = home.rglob(f"*-{FORK_WITHOUT_IDS}.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    copied = [line for line in lines if json.loads(line)["timestamp"] < "2026-11-20T07:48:16"]
    path.write_bytes(b"".join(copied))
    ledger = InMemoryLedger()

    read(ledger, home)
    assert sums(ledger, thread_id=FORK_WITHOUT_IDS)["responses"] == 0
    with path.open("ab") as writer:
        writer.write(b"".join(lines[len(copied) :]))
    read(ledger, home)

    truth = truth_of("0.98.0")["threads"][FORK_WITHOUT_IDS]
    assert sums(ledger, thread_id=FORK_WITHOUT_IDS) == wanted(truth["total"])
    assert_same(ledger, ledger_of(FIXTURES / "0.98.0" / "home"))


def test_a_copy_that_took_long_to_write_is_told_by_the_parents_log(tmp_path: Path) -> None:
    home = copy_of("0.98.0", tmp_path)
    (path,) = home.rglob(f"*-{FORK_WITHOUT_IDS}.jsonl")
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for number, line in enumerate(lines):
        at_ms = clock.from_iso(line["timestamp"]) + 200 * number
        line["timestamp"] = clock.to_iso(at_ms)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    ledger = ledger_of(home)

    truth = truth_of("0.98.0")["threads"][FORK_WITHOUT_IDS]
    assert sums(ledger, thread_id=FORK_WITHOUT_IDS) == wanted(truth["total"])
    assert {fact.estimate for fact in ledger.facts.values()} == {""}


def without_parents(tmp_path: Path, change: str = "") -> list[tuple[str, Path]]:
    """Return homes that hold one fork of 0.98 each, and its thread."""
    homes = []
    for path in logs(FIXTURES / "0.98.0" / "home"):
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        meta = lines[0]["payload"]
        if not meta.get("forked_from_id"):
            continue
        home = tmp_path / meta["id"]
        (home / "sessions").mkdir(parents=True)
        if change == "unmarked":
            del meta["forked_from_id"]
            meta |= {"cli_version": "0.80.0", "history_mode": "paginated"}
            lines = [lines[0], *(line for line in lines if line["type"] != "session_meta")]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (home / "sessions" / path.name).write_text(text)
        homes.append((meta["id"], home))
    return homes


@pytest.mark.parametrize(
    ("change", "estimate"),
    [
        ("", "the log it was forked from is gone"),
        ("unmarked", "migrated from a Codex version that did not mark forks"),
    ],
)
def test_a_fork_whose_parent_cannot_be_compared_is_an_estimate(
    tmp_path: Path, change: str, estimate: str
) -> None:
    homes = without_parents(tmp_path, change)
    threads = truth_of("0.98.0")["threads"]

    assert len(homes) == 4
    for thread, home in homes:
        ledger = ledger_of(home)
        true = threads[thread]["total"] if thread in threads else dict.fromkeys(COUNTED, 0)
        assert sums(ledger) == wanted({"responses": 0, **true}), thread
        assert {fact.estimate for fact in ledger.facts.values()} <= {estimate}


def test_a_long_reading_comes_in_parts_that_can_break_off_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copy_of("0.169.0", tmp_path)
    whole = ledger_of(home)
    monkeypatch.setattr("codex_watcher.rollout.MOST_FACTS", 2)
    monkeypatch.setattr("telemhq_agents.tail.LINES_AT_ONCE_BYTES", 2000)
    jobs = plan({}, home, FolderNamer(), now_ms=MUCH_LATER).jobs
    parts = [part for job in jobs for part in job.read() if part.cursor]
    assert len(parts) > len(jobs) + 10
    assert max(len(part.facts) for part in parts) <= 5

    for stop in range(0, len(parts), 7):
        broken_off = InMemoryLedger()
        for part in parts[:stop]:
            assert part.cursor
            broken_off.book(Batch(part.facts, part.turns, [part.cursor]))
        read(broken_off, home)
        assert_same(broken_off, whole)


def cut_at(line: bytes, moment: str, extra: int) -> bytes:
    """Return what is on disk of a line at `moment`: nothing later than it, but for a half line."""
    return line if json.loads(line)["timestamp"] <= moment else line[:extra]


def written_by(content: bytes, moment: str, extra: int) -> bytes:
    written = b""
    for line in content.splitlines(keepends=True):
        piece = cut_at(line, moment, extra)
        written += piece
        if piece != line:
            break
    return written


QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("version", VERSIONS)
@QUICK
@given(
    seconds=st.lists(st.floats(0, 65), min_size=1, max_size=3).map(sorted),
    extra=st.integers(0, 300),
)
def test_reading_at_any_moments_while_they_are_written_gives_the_same(
    version: str,
    seconds: list[float],
    extra: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    source = FIXTURES / version / "home"
    contents = {path.relative_to(source): path.read_bytes() for path in logs(source)}
    begin = min(json.loads(text.split(b"\n", 1)[0])["timestamp"] for text in contents.values())
    home, ledger = tmp_path_factory.mktemp("grows"), InMemoryLedger()

    moments = [clock.to_iso(clock.from_iso(begin) + int(second * 1000)) for second in seconds]
    for moment in [*moments, "9999"]:
        for name, content in contents.items():
            there = written_by(content, moment, extra)
            if there:
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                with (home / name).open("ab") as writer:
                    writer.write(there[(home / name).stat().st_size :])
        read(ledger, home)

    assert_same(ledger, ledger_of(source))


@pytest.mark.parametrize("version", VERSIONS)
@QUICK
@given(data=st.data())
def test_reading_one_log_cut_at_any_bytes_gives_the_same(
    version: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = data.draw(st.sampled_from(logs(FIXTURES / version / "home")))
    content = source.read_bytes()
    cuts = data.draw(st.lists(st.integers(0, len(content)), max_size=6).map(sorted))
    home, ledger = tmp_path_factory.mktemp("cut"), InMemoryLedger()
    path = home / "sessions" / source.name
    path.parent.mkdir()

    before = 0
    for cut in [*cuts, len(content)]:
        with path.open("ab") as writer:
            writer.write(content[before:cut])
        read(ledger, home)
        before = cut

    assert_same(ledger, ledger_of(home))


@QUICK
@given(
    junk=st.lists(st.binary(max_size=60).filter(lambda data: b"\n" not in data), max_size=6),
    places=st.lists(st.integers(1, 25), min_size=6, max_size=6),
)
def test_garbage_between_the_lines_changes_nothing(
    junk: list[bytes], places: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home, path, lines = plain_log(tmp_path_factory.mktemp("garbage"))
    whole = ledger_of(home)

    for place, data in zip(sorted(places, reverse=True), junk, strict=False):
        lines.insert(place, data + b"\n")
    path.write_bytes(b"".join(lines))

    assert_same(ledger_of(home), whole)


@QUICK
@given(content=st.binary(max_size=4000))
def test_a_log_of_random_bytes_harms_nothing(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("random")
    path = home / "sessions" / "rollout-random.jsonl"
    path.parent.mkdir()
    path.write_bytes(content)

    report = read(InMemoryLedger(), home)

    assert (report.files, report.new_facts, report.problems) == (1, 0, [])
