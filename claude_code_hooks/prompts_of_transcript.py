"""The prompts in a transcript: what a person asked, whole. Pure.

A fork copies its parent's lines with their ids, and so its prompts have the keys of the originals.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from claude_code_hooks.decode import BadLineError, Line, decode, last_write
from claude_code_hooks.prompts import Kind, kind_of
from telemhq_agents import clock
from telemhq_agents.prompt_log import Prompt
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_DIGITS = 24
_COMMAND = re.compile(r"<command-name>(?P<name>[^<]*)</command-name>")
_ARGUMENTS = re.compile(r"<command-args>(?P<arguments>.*?)</command-args>", re.DOTALL)


def prompts_in(
    lines: Iterable[bytes], state: dict[str, Any]
) -> tuple[list[Prompt], dict[str, Any]]:
    """Return the prompts in these lines, and where the reading stands after them.

    As for counting, a session belongs to the directory that its transcript begins with.
    """
    cwd = str(state.get("cwd", ""))
    found = []
    for data in lines:
        if b'"user"' not in data or b'"tool_result"' in data:
            continue
        line = _decoded(data)
        if line is None:
            continue
        cwd = cwd or line.cwd or ""
        prompt = _prompt(line, cwd)
        if prompt is not None:
            found.append(prompt)
    return found, {"cwd": cwd}


def _decoded(data: bytes) -> Line | None:
    try:
        return decode(data)
    except BadLineError:
        rest = last_write(data)
        return _decoded(rest) if rest is not None else None


def _prompt(line: Line, cwd: str) -> Prompt | None:
    if line.type != "user" or line.is_sidechain or line.message is None:
        return None
    text = _text(bytes(line.message.content))
    if kind_of(line, text) is not Kind.PROMPT:
        return None
    session = line.request_session_id or line.session_id or ""
    key = _digest(line.uuid or f"{session}\0{line.timestamp}\0{text}")
    at_ms = clock.told_ms(line.timestamp or "")
    return Prompt(key, at_ms, Source.CLAUDE, session, cwd, "", _as_typed(text))


def _text(raw: bytes) -> str:
    content = json.loads(raw) if raw else ""
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [_text_of(block) for block in blocks if isinstance(block, dict)]
    return "\n".join(filter(None, texts))


def _text_of(block: dict[str, Any]) -> str:
    match block.get("type"):
        case "text":
            return str(block.get("text") or "")
        case "image" | "document":
            return f"[{block['type']}]"
        case _:
            return ""


def _as_typed(text: str) -> str:
    """Return a command the way it was typed, `/review src`; any other prompt as it is."""
    command = _COMMAND.search(text) if text.startswith("<command-") else None
    if command is None:
        return text
    arguments = _ARGUMENTS.search(text)
    return f"{command['name']} {arguments['arguments'] if arguments else ''}".strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_DIGITS]
