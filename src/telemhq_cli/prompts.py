"""The prompt log at work: both agents' logs read for prompts, where the privacy level asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_agents import clock, locations, settings
from telemhq_agents.errors import TelemhqError
from telemhq_agents.settings import Privacy
from telemhq_agents.usage import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.locations import Locations
    from telemhq_agents.prompt_log import Progress, PromptLog

WAIT_S = 5.0


def log_prompts(ours: Locations, sources: Sequence[Source]) -> list[str]:
    """Log what was asked since the last time; return what kept us from it, for a person.

    At every other level than content-redacted nothing is read and nothing is logged.
    """
    is_wanted = settings.load(ours.settings).privacy.value is Privacy.CONTENT_REDACTED
    if not is_wanted and not ours.prompts.with_name("prompts.state.json").exists():
        return []
    from telemhq_agents.prompt_log import PromptLog  # noqa: PLC0415 - few want one

    log = PromptLog(ours.prompts)
    with log.held(WAIT_S) as got:
        if not got:
            return ["another process holds the log of prompts"] if is_wanted else []
        try:
            if not is_wanted:
                log.turn_off()
                return []
            return _read(log, log.turn_on(clock.now_ms()), ours, sources)
        except TelemhqError as error:
            return [f"{error.message} {error.next_step}"]
        except OSError as error:  # a full disk must not keep usage from being counted
            return [f"the log of prompts cannot be written: {error.strerror or error}"]


def _read(
    log: PromptLog, progress: Progress, ours: Locations, sources: Sequence[Source]
) -> list[str]:
    from telemhq_agents.privacy import ProjectNamer  # noqa: PLC0415 - as above
    from telemhq_agents.prompt_reading import Agent, Log, catch_up  # noqa: PLC0415 - as above

    namer = ProjectNamer(settings.load(ours.settings).private.value)
    problems: list[str] = []
    if Source.CODEX in sources:
        from codex_watcher import discover, prompts_of_rollout  # noqa: PLC0415 - one may be enough

        rollouts = discover.discover(locations.codex_home())
        logs = [Log(each.file_key, each.path) for each in rollouts]
        codex = Agent(Source.CODEX, logs, prompts_of_rollout.prompts_in)
        problems += catch_up(log, progress, codex, namer)
    if Source.CLAUDE in sources:
        from claude_code_hooks import prompts_of_transcript, transcript  # noqa: PLC0415 - same

        found, _ = transcript.discover(locations.claude_homes())
        logs = [Log(each.file_key, each.path) for each in found]
        claude = Agent(Source.CLAUDE, logs, prompts_of_transcript.prompts_in)
        problems += catch_up(log, progress, claude, namer)
    return problems
