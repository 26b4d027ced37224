"""The plugin in a real Claude Code: valid, and as good as the hook in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.programs import PLUGIN, ROOT

if TYPE_CHECKING:
    from tests.real.stage import Stage


def test_the_validator_finds_nothing(bare_stage: Stage) -> None:
    of_plugin = bare_stage.coder.plugin("validate", "--strict", "--profile", "directory", PLUGIN)
    of_marketplace = bare_stage.coder.plugin("validate", "--strict", ROOT)

    assert "Validation passed" in of_plugin
    assert "Validation passed" in of_marketplace


def test_with_the_plugin_alone_a_turn_is_reported_without_an_agent(bare_stage: Stage) -> None:
    bare_stage.coder.installs_plugin()
    bare_stage.coder.run("claude", "install", "--plugin")

    bare_stage.coder.claude("play:parent")

    bare_stage.settles(runs=1)


def test_the_plugin_and_the_settings_together_count_once(stage: Stage) -> None:
    stage.coder.installs_plugin()
    stage.coder.run("claude", "install", "--plugin")

    session = stage.coder.claude("play:tools")
    stage.coder.claude("play:refused", "--resume", session, code=1)

    stage.settles(runs=2, failures=1)
    assert stage.doings()[0] == {
        "tool_calls": 2,
        "tool_failures": 1,
        "tools": {"Bash": 2},
        "prompts": 1,
    }


def test_a_plugin_that_was_told_of_nobody_disturbs_nothing(bare_stage: Stage) -> None:
    bare_stage.coder.installs_plugin()

    bare_stage.coder.claude("play:tools")

    assert bare_stage.usage("--mine").runs == 0
    bare_stage.start_agent()
    bare_stage.settles(runs=1)
