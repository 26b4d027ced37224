"""Which lines are tools' results: two thirds of a transcript, and nothing that counts. Pure.

Nearly all such lines of a file begin with the same bytes but for two ids. So how they begin is
learnt from one that was parsed, and whoever begins alike needs no parsing: what a line is stands in
its head. Where a version moves a key, lines are parsed until the new head is learnt: that costs
time and never a line.
"""

from __future__ import annotations

import re

from claude_code_hooks.decode import LATER_WRITE

_RESULT = re.compile(
    rb'\{"parentUuid":"[^"\\]{36}",'
    rb'(?:(?!"message")"[A-Za-z_]+":(?:"[^"\\]*"|null|true|false|\d+),)*+'
    rb'"message":\{"role":"user","content":\[\{(?:"tool_use_id":"|"type":"tool_result")'
)
_BY_USER = b'"type":"user"'
_PARENT = b'{"parentUuid":"'
_PROMPT = b'"promptId":"'
_ID_BYTES = 36
HEAD_AT = len(_PARENT) + _ID_BYTES
_NOWHERE = b"\n"
"""No line holds it."""
_QUOTE, _BACKSLASH = b'"', ord("\\")
_END = b'"sourceToolAssistantUUID":"'
_SHORTEST_END = len(_END) + _ID_BYTES + len('"}')
_LONGEST_END = 1024


class Results:
    """Knows how the results in one file begin. It knows nothing until it has learnt.

    `head` stands `HEAD_AT` bytes behind the beginning of each: where it does not, `has` is false,
    and need not be asked.
    """

    __slots__ = ("_behind_prompt", "head")

    def __init__(self) -> None:
        self.head = _NOWHERE
        self._behind_prompt = b""

    def learn(self, line: bytes) -> None:
        """Learn from a line of a user's, which may be a tool's result."""
        match = _RESULT.match(line)
        if match is None or _BY_USER not in match[0]:
            return
        rest = match[0][HEAD_AT:]
        before, named, behind = rest.partition(_PROMPT)
        if named and _is_id(behind, 0):
            self.head, self._behind_prompt = before + named, behind[_ID_BYTES:]
        else:
            self.head, self._behind_prompt = rest, b""

    def has(self, data: bytes, start: int, end: int) -> bool:
        """Tell whether the line in `data[start:end]` surely is a tool's result and nothing else.

        A line can be two, when its writer was killed and another went on behind it: so its end
        must be a result's as well.
        """
        at = start + HEAD_AT
        if not (data.startswith(self.head, at) and data.startswith(_PARENT, start)):
            return False
        if not _is_id(data, at - _ID_BYTES):
            return False
        if self._behind_prompt:
            at += len(self.head)
            has_head = data.startswith(self._behind_prompt, at + _ID_BYTES) and _is_id(data, at)
            if not has_head:
                return False
        return data.startswith(_END, end - _SHORTEST_END) or _ends_like_one(data, at, end)


def _is_id(data: bytes, at: int) -> bool:
    """Tell whether the text that begins here ends, at its first quote, after an id's length."""
    end = at + _ID_BYTES
    return data.find(_QUOTE, at, end + 1) == end and data[end - 1] != _BACKSLASH


def _ends_like_one(data: bytes, start: int, end: int) -> bool:
    """Tell whether a result's last keys stand at a line's end, and no other line behind them."""
    at = data.rfind(_END, max(start, end - _LONGEST_END), end)
    return at >= 0 and LATER_WRITE.search(data, at, end) is None
