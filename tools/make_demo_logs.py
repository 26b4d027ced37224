"""Write the demo's logs and their true totals: `python -m tools.make_demo_logs [FOLDER]`.

Two people, each with a home of Codex and Claude Code logs in the shapes that Codex 0.169 and
Claude Code 2.1.328 write: repeated token counts, a fork that goes on from its parent's totals, a
failed turn, several lines for one reply, a sub-agent, a forked conversation, an API error, and one Codex thread
that lies in both homes. The truth is added up here, response by response, while the lines are made, with
the vendors' published prices; nothing of the readers is used. The same bytes come out every time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "demo_logs"
OWNER, MEMBER = "ada@example.com", "grace@example.com"
JOB_PROJECT, JOB_MODEL = "nightly-report", "claude-haiku-4-5-20251001"
START = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
WORK = "/srv/telemhq-demo"

# USD per million tokens, as published: input, cache read, cache write 5 m, cache write 1 h, output.
PRICES: dict[str, tuple[str, str, str, str, str]] = {
    "gpt-5.4": ("2.5", "0.25", "0", "0", "15"),
    "gpt-5.4-mini": ("0.75", "0.075", "0", "0", "4.5"),
    "claude-opus-4-8": ("5", "0.5", "6.25", "10", "25"),
    "claude-sonnet-4-6": ("3", "0.3", "3.75", "6", "15"),
    "claude-haiku-4-5-20251001": ("1", "0.1", "1.25", "2", "5"),
}
PER_TOKEN = Fraction(1, 1_000_000)
FIGURES = (
    "runs",
    "responses",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
    "unpriced_tokens",
    "failures",
)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def uuid7(moment: datetime, number: int) -> str:
    digits = f"{int(moment.timestamp() * 1000):012x}7{number:03x}8{number:015x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


@dataclass
class Sums:
    figures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIGURES, 0))
    cost: Fraction = Fraction(0)

    def add(self, cost: Fraction = Fraction(0), **figures: int) -> None:
        for name, value in figures.items():
            self.figures[name] += value
        self.cost += cost

    def shown(self) -> dict[str, int | float]:
        return {**self.figures, "cost_usd": round(float(self.cost), 9)}


class Truth:
    """The sums by everything that the demo's report shows."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Sums]] = {
            name: defaultdict(Sums) for name in ("total", "member", "project", "model")
        }

    def add(
        self,
        member: str,
        project: str,
        model: str,
        cost: Fraction = Fraction(0),
        **figures: int,
    ) -> None:
        for name, key in (
            ("total", ""),
            ("member", member),
            ("project", project),
            ("model", model),
        ):
            self.groups[name][key].add(cost, **figures)

    def response(self, member: str, project: str, model: str, tokens: Tokens) -> None:
        self.add(
            member,
            project,
            model,
            tokens.cost(model),
            responses=1,
            input_tokens=tokens.all_input,
            cached_input_tokens=tokens.read,
            cache_write_tokens=tokens.write_5m + tokens.write_1h,
            output_tokens=tokens.output,
            reasoning_tokens=tokens.reasoning,
            total_tokens=tokens.all_input + tokens.output,
            unpriced_tokens=0 if model in PRICES else tokens.all_input + tokens.output,
        )

    def shown(self) -> dict[str, Any]:
        return {
            "total": self.groups["total"][""].shown(),
            **{
                f"by_{name}": {key: sums.shown() for key, sums in sorted(self.groups[name].items())}
                for name in ("member", "project", "model")
            },
        }


@dataclass(frozen=True)
class Tokens:
    """One response: fresh input, cache reads and writes, output (reasoning inside)."""

    fresh: int
    read: int
    output: int
    reasoning: int = 0
    write_5m: int = 0
    write_1h: int = 0

    @property
    def all_input(self) -> int:
        return self.fresh + self.read + self.write_5m + self.write_1h

    def cost(self, model: str) -> Fraction:
        if model not in PRICES:
            return Fraction(0)
        counts = (self.fresh, self.read, self.write_5m, self.write_1h, self.output)
        return sum(
            (
                Fraction(price) * count * PER_TOKEN
                for price, count in zip(PRICES[model], counts, strict=True)
            ),
            Fraction(0),
        )


@dataclass
class Lines:
    """A log file in the making."""

    now: datetime
    rows: list[dict[str, Any]] = field(default_factory=list)

    def later(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in self.rows)
        path.write_text(text, encoding="utf-8")


class CodexThread:
    """A Codex 0.169 rollout: `token_usage_record` before each `token_count`, counts repeated."""

    def __init__(self, number: int, start: datetime, project: str, parent: str = "") -> None:
        self.number, self.project, self.lines = number, project, Lines(start)
        self.id = uuid7(start, number)
        self.total = dict.fromkeys(
            ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens"), 0
        )
        self.turns = self.responses = 0
        self.began = start
        payload: dict[str, Any] = {
            "session_id": self.id,
            "id": self.id,
            "timestamp": stamp(start),
            "cwd": f"{WORK}/{project}",
            "originator": "codex_exec",
            "cli_version": "0.169.0",
            "source": "exec",
            "model_provider": "openai",
            "history_mode": "paginated",
            "git": {
                "branch": "main",
                "repository_url": f"https://git.example.com/acme/{project}.git",
            },
        }
        if parent:
            payload |= {"forked_from_id": parent, "history_base": {"thread_id": parent}}
        self.row("session_meta", payload)

    def row(self, kind: str, payload: dict[str, Any]) -> None:
        self.lines.rows.append(
            {
                "timestamp": stamp(self.lines.now),
                "ordinal": len(self.lines.rows),
                "type": kind,
                "payload": payload,
            }
        )

    def turn(
        self, truth: Truth, member: str, model: str, *replies: Tokens, error: str = ""
    ) -> None:
        started = self.lines.later(40)
        self.turns += 1
        turn = uuid7(started, self.number * 100 + self.turns)
        self.row(
            "event_msg",
            {"type": "task_started", "turn_id": turn, "started_at": int(started.timestamp())},
        )
        self.row("turn_context", {"turn_id": turn, "cwd": f"{WORK}/{self.project}", "model": model})
        for reply in replies:
            self.lines.later(9)
            self.reply(turn, reply)
            truth.response(member, self.project, model, reply)
        ended = self.lines.later(2)
        end: dict[str, Any] = {
            "type": "task_complete",
            "turn_id": turn,
            "last_agent_message": None if error else "done",
            "started_at": int(started.timestamp()),
            "completed_at": int(ended.timestamp()),
            "duration_ms": int((ended - started).total_seconds() * 1000),
        }
        self.row(
            "event_msg",
            end | ({"error": {"message": error, "codex_error_info": "other"}} if error else {}),
        )
        truth.add(member, self.project, model if replies else "", runs=1, failures=int(bool(error)))

    def reply(self, turn: str, tokens: Tokens) -> None:
        self.responses += 1
        usage = {
            "input_tokens": tokens.all_input,
            "cached_input_tokens": tokens.read,
            "output_tokens": tokens.output,
            "reasoning_output_tokens": tokens.reasoning,
        }
        self.total = {name: self.total[name] + value for name, value in usage.items()}
        self.row(
            "token_usage_record",
            {
                "thread_id": self.id,
                "turn_id": turn,
                "session_id": self.id,
                "response_id": f"resp_demo{self.number:02d}{self.responses:03d}",
                "usage": with_total(usage),
            },
        )
        count = {"total_token_usage": with_total(self.total), "last_token_usage": with_total(usage)}
        for _ in range(2):
            self.row("event_msg", {"type": "token_count", "info": count, "rate_limits": None})

    def write(self, home: Path) -> None:
        name = f"rollout-{self.began:%Y-%m-%dT%H-%M-%S}-{self.id}.jsonl"
        self.lines.write(home / "codex" / "sessions" / f"{self.began:%Y/%m/%d}" / name)


def with_total(usage: dict[str, int]) -> dict[str, int]:
    return {**usage, "total_tokens": usage["input_tokens"] + usage["output_tokens"]}


class ClaudeSession:
    """A Claude Code 2.1.328 transcript: one line per content block, all with the same usage."""

    def __init__(self, number: int, start: datetime, project: str) -> None:
        self.number, self.project, self.lines = number, project, Lines(start)
        self.id = uuid7(start, number)
        self.replies = self.prompts = 0
        self.agents: dict[str, Lines] = {}

    def row(self, lines: Lines, kind: str, agent: str = "", **more: object) -> None:
        place = {"isSidechain": bool(agent)} | ({"agentId": agent} if agent else {})
        lines.rows.append(
            {
                **place,
                "type": kind,
                "uuid": uuid7(lines.now, self.number * 1000 + len(lines.rows)),
                "timestamp": stamp(lines.now),
                "cwd": f"{WORK}/{self.project}",
                "sessionId": self.id,
                "version": "2.1.328",
                "gitBranch": "main",
                **more,
            }
        )

    def turn(
        self, truth: Truth, member: str, model: str, *replies: Tokens, error: bool = False
    ) -> str:
        self.lines.later(60)
        self.prompts += 1
        prompt = uuid7(self.lines.now, self.number * 100 + self.prompts)
        self.row(
            self.lines,
            "user",
            promptId=prompt,
            promptSource="typed",
            message={"role": "user", "content": "a demo prompt"},
        )
        for reply in replies:
            self.lines.later(7)
            self.reply(self.lines, model, reply)
            truth.response(member, self.project, model, reply)
        self.lines.later(1)
        if error:
            self.api_error()
        else:
            self.row(self.lines, "system", subtype="turn_duration", durationMs=7000 * len(replies))
        truth.add(member, self.project, model if replies else "", runs=1, failures=int(error))
        return prompt

    def reply(self, lines: Lines, model: str, tokens: Tokens, agent: str = "") -> None:
        self.replies += 1
        usage = {
            "input_tokens": tokens.fresh,
            "cache_creation_input_tokens": tokens.write_5m + tokens.write_1h,
            "cache_read_input_tokens": tokens.read,
            "output_tokens": tokens.output,
            "output_tokens_details": {"thinking_tokens": tokens.reasoning},
            "cache_creation": {
                "ephemeral_5m_input_tokens": tokens.write_5m,
                "ephemeral_1h_input_tokens": tokens.write_1h,
            },
        }
        for block in ("text", "tool_use"):
            message = {
                "id": f"msg_demo{self.number:02d}{self.replies:03d}",
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [{"type": block}],
                "stop_reason": "end_turn",
                "usage": usage,
            }
            self.row(
                lines,
                "assistant",
                agent,
                requestId=f"req_demo{self.number:02d}{self.replies:03d}",
                message=message,
            )

    def sub_agent(
        self, truth: Truth, member: str, prompt: str, model: str, *replies: Tokens
    ) -> None:
        agent = f"a{self.number:02d}{len(self.agents):014d}"
        lines = self.agents.setdefault(agent, Lines(self.lines.now - timedelta(seconds=5)))
        self.row(lines, "user", agent, promptId=prompt, message={"role": "user", "content": "look"})
        for reply in replies:
            lines.later(1)
            self.reply(lines, model, reply, agent)
            truth.response(member, self.project, model, reply)

    def api_error(self) -> None:
        message = {
            "id": uuid7(self.lines.now, self.number * 10 + 9),
            "type": "message",
            "role": "assistant",
            "model": "<synthetic>",
            "content": [{"type": "text", "text": "API Error: 529 overloaded"}],
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        self.row(
            self.lines, "assistant", message=message, isApiErrorMessage=True, error="overloaded"
        )

    def fork(self, number: int) -> ClaudeSession:
        """A copy of this conversation under a new session id, as `--fork-session` makes it."""
        child = ClaudeSession(number, self.lines.now + timedelta(minutes=3), self.project)
        for row in self.lines.rows:
            own = {"sessionId": child.id, "requestSessionId": self.id}
            child.lines.rows.append(
                row | (own if row["type"] == "assistant" else {"sessionId": child.id})
            )
        return child

    def write(self, home: Path) -> None:
        folder = home / "claude" / "projects" / f"-srv-telemhq-demo-{self.project}"
        self.lines.write(folder / f"{self.id}.jsonl")
        for agent, lines in self.agents.items():
            lines.write(folder / self.id / "subagents" / f"agent-{agent}.jsonl")


def owner_logs(home: Path, truth: Truth) -> CodexThread:
    api = CodexThread(1, START, "billing-api")
    api.turn(
        truth, OWNER, "gpt-5.4", Tokens(9_100, 20_480, 812, 256), Tokens(1_404, 30_720, 455, 64)
    )
    api.turn(truth, OWNER, "gpt-5.4", Tokens(2_210, 33_280, 1_240, 512))
    api.turn(truth, OWNER, "gpt-5.4-mini", Tokens(3_005, 8_192, 310), error="stream disconnected")
    api.write(home)

    fork = CodexThread(2, START + timedelta(hours=2, minutes=11), "billing-api", parent=api.id)
    fork.total = dict(api.total)
    fork.turn(truth, OWNER, "gpt-5.4", Tokens(4_096, 35_840, 990, 128))
    fork.write(home)

    shared = CodexThread(3, START + timedelta(days=1, hours=1), "web-app")
    shared.turn(truth, OWNER, "gpt-5.4", Tokens(12_000, 0, 2_048, 1_024), Tokens(900, 12_288, 777))
    shared.write(home)

    web = ClaudeSession(11, START + timedelta(hours=5), "web-app")
    prompt = web.turn(
        truth,
        OWNER,
        "claude-opus-4-8",
        Tokens(120, 31_000, 1_900, 700, 4_200),
        Tokens(85, 35_200, 640, 0, 900),
    )
    web.sub_agent(
        truth, OWNER, prompt, "claude-haiku-4-5-20251001", Tokens(60, 11_000, 505, 0, 0, 3_300)
    )
    web.turn(truth, OWNER, "claude-opus-4-8", Tokens(44, 36_100, 2_250, 900, 1_800))
    web.turn(truth, OWNER, "claude-sonnet-4-6", Tokens(71, 38_000, 410), error=True)
    web.write(home)
    return shared


def member_logs(home: Path, truth: Truth, shared: CodexThread) -> None:
    shared.write(home)

    pipeline = CodexThread(4, START + timedelta(days=2, minutes=14, seconds=20), "data-pipeline")
    for number in range(1, 6):
        pipeline.turn(
            truth, MEMBER, "gpt-5.4-mini", Tokens(1_500 * number, 4_096 * number, 90 * number, 16)
        )
    pipeline.write(home)

    api = ClaudeSession(12, START + timedelta(days=1, hours=6), "billing-api")
    api.turn(truth, MEMBER, "claude-sonnet-4-6", Tokens(210, 18_000, 1_333, 300, 0, 5_000))
    api.turn(truth, MEMBER, "claude-sonnet-4-6", Tokens(95, 23_000, 870, 100, 1_200))
    api.write(home)
    fork = api.fork(13)
    fork.turn(truth, MEMBER, "claude-opus-4-8", Tokens(330, 24_200, 1_111, 450, 2_600))
    fork.write(home)


def job_payload() -> dict[str, Any]:
    """What the demo's wrapped command prints as its last line."""
    tokens = Tokens(2_000, 1_000, 500)
    return {
        "model": JOB_MODEL,
        "responses": 1,
        "input_tokens": tokens.all_input,
        "cached_input_tokens": tokens.read,
        "output_tokens": tokens.output,
        "cost_usd": float(tokens.cost(JOB_MODEL)),
        "items_processed": 42,
    }


def job_runs(truth: Truth) -> None:
    """One job that succeeds and tells what it used, and one that exits with 3."""
    truth.response(OWNER, JOB_PROJECT, JOB_MODEL, Tokens(2_000, 1_000, 500))
    truth.add(OWNER, JOB_PROJECT, JOB_MODEL, runs=1)
    truth.add(OWNER, JOB_PROJECT, "", runs=1, failures=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=HERE, help="where they are put")
    folder: Path = parser.parse_args().folder
    truth = Truth()
    shared = owner_logs(folder / "owner", truth)
    member_logs(folder / "member", truth, shared)
    job_runs(truth)
    text = json.dumps(truth.shown(), indent=2) + "\n"
    (folder / "truth.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
