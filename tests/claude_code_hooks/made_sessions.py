"""Histories that are made up, so that their truth is known before anybody reads them.

A history is a list of steps: sessions of several versions work, send sub-agents out, ask side
questions, are forked, resumed and cut off. What each reply cost is noted when it is made, once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from telemhq_agents.clock import to_iso

Line = dict[str, Any]
STEPS = (
    "session",
    "work",
    "work",
    "work",
    "inline",
    "beside",
    "below",
    "deeper",
    "side question",
    "fork",
    "noise",
    "noise",
)
START_MS = 1_790_000_000_000
LOWER_BOUND = "output_lower_bound"


class Cost(NamedTuple):
    """What one reply cost, in the words of a usage fact, and whose it was."""

    at_ms: int
    session: str
    model: str
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    estimate: str = ""


class Style(NamedTuple):
    """How a version, or a gateway before it, writes lines."""

    version: str
    marks_copies: bool = False
    keeps_session_of_copies: bool = False
    rewrites_times_of_copies: bool = False
    queues_prompts: bool = True
    has_prompt_ids: bool = True
    has_message_ids: bool = True
    has_flat_cache: bool = False
    has_placeholders: bool = False
    repeats_stop: bool = False


STYLES = (
    Style("2.1.328", marks_copies=True, repeats_stop=True),
    Style("2.1.110"),
    Style("2.1.96", has_flat_cache=True),
    Style("2.1.40", keeps_session_of_copies=True, has_placeholders=True),
    Style("2.0.60", rewrites_times_of_copies=True, has_prompt_ids=False, queues_prompts=False),
    Style("1.0.128", rewrites_times_of_copies=True, has_prompt_ids=False, queues_prompts=False),
    Style("2.1.328", has_message_ids=False, marks_copies=True, has_flat_cache=True),
)


@dataclass
class Session:
    name: str
    style: Style
    lines: list[Line] = field(default_factory=list)
    prompt_id: str = ""


@dataclass
class History:
    """All files, each a list of lines, and what they truly cost, by fact key."""

    dice: Random
    files: dict[str, list[Line]] = field(default_factory=dict)
    truth: dict[str, Cost] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)
    now_ms: int = START_MS
    made: int = 0

    def take(self, step: str) -> None:
        """Let one thing happen."""
        if step == "session" or not self.sessions:
            self.begin()
            return
        session = self.dice.choice(self.sessions)
        match step:
            case "work":
                self.prompt(session)
                for _ in range(self.dice.randint(1, 3)):
                    self.reply(session, session.lines)
            case "inline" | "beside" | "below" | "deeper":
                self.send_out(session, step)
            case "side question":
                self.ask_aside(session)
            case "fork":
                self.fork(session)
            case "noise":
                session.lines.append(self.noise(session))

    def number(self) -> int:
        self.made += 1
        return self.made

    def later(self) -> int:
        self.now_ms += self.dice.randint(1, 90_000)
        return self.now_ms

    def begin(self) -> Session:
        session = Session(f"session-{self.number()}", self.dice.choice(STYLES))
        self.sessions.append(session)
        self.files[session.name] = session.lines
        self.prompt(session)
        self.reply(session, session.lines)
        return session

    def line(self, session: Session, kind: str, **changes: Any) -> Line:
        plain = {
            "parentUuid": f"00000000-0000-4000-8000-{self.made:012}",
            "isSidechain": False,
            "type": kind,
            "uuid": f"uuid-{self.number()}",
            "timestamp": to_iso(self.later()),
            "cwd": f"/home/dev/{session.name}",
            "sessionId": session.name,
            "version": session.style.version,
        }
        return {key: value for key, value in {**plain, **changes}.items() if value is not None}

    def prompt(self, session: Session) -> None:
        session.prompt_id = f"prompt-{self.number()}"
        source = {"promptId": session.prompt_id, "promptSource": "typed"}
        message = {"role": "user", "content": f"please {self.number()}"}
        named = source if session.style.has_prompt_ids else {}
        session.lines.append(self.line(session, "user", message=message, **named))

    def reply(self, session: Session, lines: list[Line], **changes: Any) -> str:
        """Write a reply's lines, one per block; note once what it cost."""
        style, dice = session.style, self.dice
        blocks = dice.randint(1, 4)
        usage, cost = self.usage(session)
        name = f"msg_{self.number()}"
        is_cut = style.has_placeholders and dice.random() < 0.3
        model = dice.choice(("claude-opus-5-5", "claude-haiku-5-5"))
        keys = []
        times: list[int] = []
        for block in range(blocks):
            is_last = block == blocks - 1 and not is_cut
            early = style.has_placeholders and not is_last
            told = {**usage, "output_tokens": 1} if early else usage
            stop = "end_turn" if is_last or style.repeats_stop else None
            line = self.line(session, "assistant", **changes)
            line["message"] = self.message(name, model, stop, told, style=style)
            keys.append(name if style.has_message_ids else f"{session.name}:{line['uuid']}")
            times.append(self.now_ms)
            lines.append(line)
            if dice.random() < 0.2:
                lines.append(self.result(session, **changes))
        output = 1 if is_cut else cost.output_tokens
        doubt = LOWER_BOUND if is_cut else ""
        cost = cost._replace(model=model, output_tokens=output, estimate=doubt)
        # Without an id of the reply, each of its lines stands for itself.
        for key, at_ms in zip(reversed(keys), reversed(times), strict=True):
            self.truth[f"claude:{key}"] = cost._replace(at_ms=at_ms)
        return name

    def message(
        self, name: str, model: str, stop: str | None, usage: Line, *, style: Style
    ) -> Line:
        content = self.dice.choice(
            (
                [{"type": "text", "text": "an answer"}],
                [
                    {
                        "type": "tool_use",
                        "input": {"usage": {"output_tokens": 9}, "stop_reason": "x"},
                    }
                ],
                [{"type": "text", "text": '"type":"user" ],"stop_reason":null,"usage":{'}],
            )
        )
        named = {"id": name} if style.has_message_ids else {}
        shape = {"type": "message", "role": "assistant", "model": model, "content": content}
        return {**named, **shape, "stop_reason": stop, "stop_sequence": None, "usage": usage}

    def usage(self, session: Session) -> tuple[Line, Cost]:
        fresh, short, long, cached, output = (self.dice.randint(0, 5000) for _ in range(5))
        output += 2
        nested = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
        if session.style.has_flat_cache:
            nested, long_told = dict.fromkeys(nested, 0), 0
        else:
            long_told = long
        written = short + long
        usage = {
            "input_tokens": fresh,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": cached,
            "cache_creation": nested,
            "output_tokens": output,
            "iterations": [{"input_tokens": fresh, "output_tokens": output}],
        }
        total = fresh + written + cached
        return usage, Cost(0, session.name, "", total, cached, written, long_told, output)

    def result(self, session: Session, **changes: Any) -> Line:
        quoted = '{"type":"assistant","message":{"id":"msg_q","usage":{"input_tokens":5}}}'
        content = [{"tool_use_id": "toolu_1", "type": "tool_result", "content": quoted}]
        told = {"usage": {"input_tokens": 77, "output_tokens": 7}, "totalTokens": 84}
        line = self.line(session, "user", **changes)
        message = {"role": "user", "content": content}
        end = {"sourceToolAssistantUUID": "00000000-0000-4000-8000-000000000000"}
        return {**line, "message": message, "toolUseResult": told, **end}

    def send_out(self, session: Session, layout: str) -> None:
        name = f"agent-{self.number()}"
        places = {
            "beside": name,
            "below": f"{session.name}/subagents/{name}",
            "deeper": f"{session.name}/subagents/workflows/wf_1/{name}",
        }
        lines = session.lines if layout == "inline" else self.files.setdefault(places[layout], [])
        task = {"message": {"role": "user", "content": "a task"}, "isSidechain": True}
        lines.append(self.line(session, "user", promptId=session.prompt_id or None, **task))
        for _ in range(self.dice.randint(1, 2)):
            self.reply(session, lines, isSidechain=True, agentId=name)
        echo = {"type": "agent_progress", "message": lines[-1]}
        session.lines.append(self.line(session, "progress", data=echo))

    def ask_aside(self, session: Session) -> None:
        """Ask a side question: it replays replies of its parent under new request ids."""
        if not session.style.has_message_ids:
            return
        lines = self.files.setdefault(f"{session.name}/subagents/agent-aside-{self.number()}", [])
        for line in session.lines:
            if line["type"] == "assistant" and not line["isSidechain"] and self.dice.random() < 0.7:
                replayed = {"isSidechain": True, "requestId": f"req_{self.number()}"}
                lines.append({**line, **replayed, "uuid": f"uuid-{self.number()}"})
        self.reply(session, lines, isSidechain=True)

    def fork(self, parent: Session) -> None:
        """Fork a session: the new one begins with a copy of the parent's lines, in its own way."""
        style = parent.style
        if not style.has_message_ids and not style.marks_copies:
            return
        fork = Session(f"session-{self.number()}", style)
        self.sessions.append(fork)
        self.files[fork.name] = fork.lines
        copied = [line for line in parent.lines if "sessionId" in line]
        begins_ms = self.later()
        if style.queues_prompts:
            queued = {"type": "queue-operation", "operation": "enqueue", "content": "go on"}
            fork.lines.append({**queued, "timestamp": to_iso(begins_ms), "sessionId": fork.name})
        fork.lines += [self.copy(line, fork) for line in copied]
        self.prompt(fork)
        for line in fork.lines[1:]:
            if style.has_prompt_ids and "promptId" in line and not line["isSidechain"]:
                line["promptId"] = fork.prompt_id
        self.reply(fork, fork.lines)

    def copy(self, line: Line, fork: Session) -> Line:
        copy = dict(line)
        original = line.get("requestSessionId", line["sessionId"])
        if not fork.style.keeps_session_of_copies:
            copy["sessionId"] = fork.name
        if fork.style.marks_copies and line["type"] == "assistant":
            copy["requestSessionId"] = original
        if fork.style.rewrites_times_of_copies:
            copy["timestamp"] = to_iso(self.later())
        return copy

    def noise(self, session: Session) -> Line:
        kinds = ("attachment", "file-history-snapshot", "some-new-kind", "cost-state", "synthetic")
        match self.dice.choice(kinds):
            case "cost-state":
                spent = {"claude-opus-5-5": {"inputTokens": 1_000_000, "outputTokens": 5000}}
                return self.line(session, "cost-state", modelUsage=spent)
            case "synthetic":
                usage = {"input_tokens": 0, "output_tokens": 0}
                shape = {"id": f"id-{self.number()}", "model": "<synthetic>", "content": []}
                line = self.line(session, "assistant", isApiErrorMessage=True)
                return {**line, "message": {**shape, "stop_reason": None, "usage": usage}}
            case kind:
                return self.line(session, kind, attachment={"usage": {"input_tokens": 5}})


def made(steps: list[str], dice: Random) -> History:
    """Return the history that these steps make."""
    history = History(dice)
    for step in steps:
        history.take(step)
    return history


def encoded(lines: list[Line]) -> bytes:
    """Return a file's bytes."""
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
