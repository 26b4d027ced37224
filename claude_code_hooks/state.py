"""What a fold remembers of the lines it has read. Plain structs: they go into the cursor."""

from __future__ import annotations

import msgspec

from claude_code_hooks.decode import Spent
from telemhq_agents.usage import TurnStatus


class TurnState(msgspec.Struct):
    """The turn in force.

    `borrowed`: a sub-agent's file works for a turn of another file. `copied`: its lines say that
    they come from another session. `held`: it seems to be older than the file's own first prompt,
    as a copy is, and is not told of before the next prompt: a copy has that one's id. `failure`:
    the kind of the last API error, which ended the turn if nothing came behind it.
    """

    key: str
    started_ms: int
    last_ms: int
    status: TurnStatus = TurnStatus.SUCCESS
    told_ms: int = 0
    session_id: str = ""
    version: str = ""
    failure: str = ""
    has_prompt_id: bool = False
    is_shown: bool = False
    is_ended: bool = False
    is_working: bool = False
    is_borrowed: bool = False
    is_copied: bool = False
    is_held: bool = False


class CostState(msgspec.Struct):
    """What the session said last of its own cost, by the model that was asked for.

    `is_inherited`: lines before it were copied from another session, and so was what they cost.
    `is_interrupted`: something before it was. `is_followed`: work was done since. `is_told`: it was
    handed over. `answered`: which model gave the answers to whom
    asked for another; "" where several did.
    """

    session_id: str = ""
    at_ms: int = 0
    spent: dict[str, Spent] = {}
    answered: dict[str, str] = {}
    is_inherited: bool = False
    is_interrupted: bool = False
    is_followed: bool = False
    is_told: bool = True


class FoldState(msgspec.Struct):
    """All that later lines of the file need from earlier ones.

    `opened_ms` is when the session queued its first prompt, before it wrote any message, and
    `opened_with` a digest of that prompt. Until the prompt itself comes, an older message was
    copied from another session (surely so where `is_fork`: a line told it), or the clock was set
    back. Both are empty afterwards. `has_copies` and `has_interrupts` stay: they tell what the
    session's own total cannot be compared with.
    """

    cwd: str = ""
    opened_ms: int = 0
    opened_with: str = ""
    is_fork: bool = False
    last_ms: int = 0
    has_messages: bool = False
    has_copies: bool = False
    has_interrupts: bool = False
    turn: TurnState | None = None
    cost: CostState = msgspec.field(default_factory=CostState)
