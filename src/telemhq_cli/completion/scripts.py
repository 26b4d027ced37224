"""What teaches a shell to ask us when somebody presses Tab, and where that is put."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, assert_never

from telemhq_agents import locations, whole_file
from telemhq_agents.errors import SettingsError, unwritable

if TYPE_CHECKING:
    from pathlib import Path


class Shell(StrEnum):
    """A shell that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_BASH = r"""# Completion of telemhq for bash; written by: telemhq completion install bash
_telemhq() {
    local program kind answer
    program=$(type -P -- "${1/#\~/$HOME}") || program=telemhq
    COMPREPLY=()
    {
        IFS= read -r kind
        while IFS= read -r answer; do COMPREPLY+=("$answer"); done
    } < <(_TELEMHQ_COMPLETE=bash "$program" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    if [ "$kind" = files ]; then compopt -o default 2>/dev/null; fi
}
complete -o nosort -F _telemhq telemhq 2>/dev/null || complete -F _telemhq telemhq
"""

_ZSH = r"""#compdef telemhq
# Completion of telemhq for zsh; written by: telemhq completion install zsh
_telemhq() {
    local program answer
    local -a answers values shown
    local -i width
    program=$(whence -p -- ${(Q)words[1]}) || program=telemhq
    answers=("${(@f)$(_TELEMHQ_COMPLETE=zsh $program \
        "${(j: :)words[1,CURRENT-1]} ${QIPREFIX}${PREFIX}" 2>/dev/null)}")
    if [[ $answers[1] = files ]]; then
        _files
        return
    fi
    for answer in "${(@)answers[2,-1]}"; do
        values+=("${answer%%$'\t'*}")
        (( width = $#values[-1] > width ? $#values[-1] : width ))
    done
    for answer in "${(@)answers[2,-1]}"; do
        shown+=("${(r:width:)${answer%%$'\t'*}}  ${${answer#*$'\t'}#$answer}")
    done
    (( $#values )) || return 1
    if [[ "$answers" = *$'\t'* ]]; then
        compadd -V telemhq -l -d shown -a -- values
    else
        compadd -V telemhq -a -- values
    fi
}
if [[ $funcstack[1] = _telemhq ]]; then
    _telemhq "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _telemhq telemhq
fi
"""

_FISH = r"""# Completion of telemhq for fish; written by: telemhq completion install fish
function __telemhq_complete
    set -l typed (commandline -opc)
    set -l program (command -s -- $typed[1]; or echo telemhq)
    set -l line (commandline -cp | string collect)
    set -l answers (env _TELEMHQ_COMPLETE=fish $program $line 2>/dev/null)
    if test "$answers[1]" = files
        __fish_complete_path (commandline -ct)
    else if set -q answers[2]
        printf '%s\n' $answers[2..-1]
    end
end
complete --command telemhq --no-files --keep-order --arguments '(__telemhq_complete)'
"""


class Installed(NamedTuple):
    """Where a shell's script is; `startup` is the file that loads it, None where none need be."""

    shell: Shell
    script: Path
    startup: Path | None
    was_changed: bool


def script(shell: Shell) -> str:
    """Return what the shell is to read."""
    match shell:
        case Shell.BASH:
            return _BASH
        case Shell.ZSH:
            return _ZSH
        case Shell.FISH:
            return _FISH
        case _:
            assert_never(shell)


def install(shell: Shell) -> Installed:
    """Put the script in its place, and a line that loads it into the shell's own startup file.

    Safe to run again. fish finds it by itself. Raises SettingsError where a file cannot be written.
    """
    place = _place(shell)
    startup = None if shell is Shell.FISH else locations.shell_startup(shell)
    text = script(shell).encode()
    try:
        is_new = not place.exists() or place.read_bytes() != text
        if is_new:
            whole_file.put(place, text)
        is_loaded = startup is None or _load(startup, line_for(shell))
    except OSError as error:
        raise unwritable(SettingsError, f"The completion for {shell}", error) from error
    return Installed(shell, place, startup, is_new or not is_loaded)


def line_for(shell: Shell) -> str:
    """Return the line of a startup file that loads the script, as long as that is there."""
    place = shlex.quote(str(_place(shell)))
    return f"[ ! -r {place} ] || . {place}  # telemhq completion"


def _place(shell: Shell) -> Path:
    if shell is Shell.FISH:
        return locations.fish_completions() / "telemhq.fish"
    return locations.ours().completion / f"telemhq.{shell}"


def _load(startup: Path, line: str) -> bool:
    """Add the line at the end of a startup file; tell whether it was there already.

    The file is added to, not replaced: it may be a link into somebody's dotfiles.
    """
    before = startup.read_bytes() if startup.exists() else b""
    if line.encode() in before.splitlines():
        return True
    startup.parent.mkdir(parents=True, exist_ok=True)
    gap = b"" if not before or before.endswith(b"\n") else b"\n"
    with startup.open("ab") as file:
        file.write(gap + line.encode() + b"\n")
    return False
