"""What `telemhq usage` can do besides its report: a command each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.commands.usage_export import export
from telemhq_cli.commands.usage_heatmap import heatmap
from telemhq_cli.commands.usage_sessions import session, sessions
from telemhq_cli.commands.usage_trend import trend

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS: dict[str, Callable[..., None]] = {
    "sessions": sessions,
    "session": session,
    "trend": trend,
    "heatmap": heatmap,
    "export": export,
}
"""By name, in the order of the help text."""
