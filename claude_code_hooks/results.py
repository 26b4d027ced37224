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
_PROMPT = b'"promptId":"'
_ID_BYTES = 36
_id = re.compile(rb'[^"\\\n]{36}"').match
_parent = re.compile(rb'\{"parentUuid":"[^"\\\n]{36}"').match
HEAD_AT = len(b'{"parentUuid":"') + _ID_BYTES
_NOWHERE = b"\n"
"""No line holds it."""
_END = b'"sourceToolAssistantUUID":"'
_END_BYTES = len(_END) + _ID_BYTES
_LONGEST_END = 1024


class Results:
    """Knows how the results in one file begin and end. It knows nothing until it has learnt.

    `head` stands `HEAD_AT` bytes behind the beginning of each: where it does not, a line is to be
    parsed, and `has` need not be asked.
    """

    __slots__ = ("_behind_end", "_behind_prompt", "head")

    def __init__(self) -> None:
        self.head = _NOWHERE
        self._behind_prompt = b""
        self._behind_end = b'"}'

    def learn(self, line: bytes) -> None:
        """Learn from a line of a user's, which may be a tool's result."""
        match = _RESULT.match(line)
        if match is None or _BY_USER not in match[0]:
            return
        rest = match[0][HEAD_AT:]
        before, named, behind = rest.partition(_PROMPT)
        if named and _id(behind):
            self.head, self._behind_prompt = before + named, behind[_ID_BYTES:]
        else:
            self.head, self._behind_prompt = rest, b""

    def has(self, data: bytes, start: int, end: int) -> bool:
        """Tell whether the line in `data[start:end]` surely is a tool's result and nothing else.

        Its head was found already. A line can be two, when its writer was killed and another went
        on behind it: so its end must be a result's as well.
        """
        if _parent(data, start) is None:
            return False
        at = start + HEAD_AT
        if self._behind_prompt:
            at += len(self.head)
            if not (data.startswith(self._behind_prompt, at + _ID_BYTES) and _id(data, at)):
                return False
        behind = end - len(self._behind_end)
        is_alike = data.startswith(_END, behind - _END_BYTES) and data.endswith(
            self._behind_end, at, end
        )
        return is_alike or self._ends_like_one(data, at, end)

    def _ends_like_one(self, data: bytes, start: int, end: int) -> bool:
        """Tell whether a result's last keys stand at a line's end, and no other line behind them.

        The next line is likely to end alike.
        """
        at = data.rfind(_END, max(start, end - _LONGEST_END), end)
        if at < 0 or LATER_WRITE.search(data, at, end) is not None:
            return False
        behind = at + _END_BYTES
        if behind < end and _id(data, at + len(_END)):
            self._behind_end = data[behind:end]
        return True
