"""Where in the tree of commands a line stands, and so what its next word may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemhq_cli.completion.spelling import Offer

    Node = Mapping[str, Any]
    """A command as the list of commands has it: see `tools/make_completion.py`."""

END_OF_OPTIONS = "--"


class Wanted(NamedTuple):
    """What the next word may be: words of the tree's own, and values of a kind, after `prefix`.

    `arguments` and `given` (by the option's first name) are what was said before.
    """

    offers: tuple[Offer, ...] = ()
    kind: str | tuple[str, ...] = ""
    prefix: str = ""
    arguments: tuple[str, ...] = ()
    given: Mapping[str, str] = {}


class _Walk:
    """A line followed through the tree, word by word."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.arguments: list[str] = []
        self.given: dict[str, str] = {}
        self.open: Node | None = None
        self.has_ended = False
        self.is_lost = False

    def step(self, word: str) -> None:
        if self.open is not None:
            self.given[self.open["names"][0]] = word
            self.open = None
        elif word == END_OF_OPTIONS and not self.has_ended:
            self.has_ended = True
        elif self.is_option(word):
            self._take_option(word)
        elif self.node.get("commands"):
            self.is_lost |= word not in self.node["commands"]
            self.node = self.node["commands"].get(word, self.node)
            self.given.clear()
        else:
            self.arguments.append(word)

    def is_option(self, word: str) -> bool:
        return not self.has_ended and word.startswith("-") and word != "-"

    def option(self, name: str) -> Node | None:
        known = self.node.get("options", ())
        return next((one for one in known if name in one["names"]), None)

    def _take_option(self, word: str) -> None:
        name, equals, value = word.partition("=")
        option = self.option(name)
        if option is None and not word.startswith("--"):  # -fVALUE
            option, equals, value = self.option(word[:2]), "=", word[2:]
        if option is None:
            return
        if "kind" in option and not equals:
            self.open = option
        else:
            self.given[option["names"][0]] = value


def wanted(tree: Node, words: Sequence[str], word: str) -> Wanted:
    """Return what may follow `words` of a command line (without the program's own) as `word`."""
    walk = _Walk(tree)
    for one in words:
        walk.step(one)
    if walk.is_lost:
        return Wanted()
    return _next(walk, word)._replace(arguments=tuple(walk.arguments), given=walk.given)


def _next(walk: _Walk, word: str) -> Wanted:
    if walk.open is not None:
        return Wanted(kind=_kind(walk.open), prefix=_listed(walk.open, word))
    if walk.is_option(word) or (word == "-" and not walk.has_ended):
        return _option(walk, word)
    below = walk.node.get("commands")
    if below:
        return Wanted(tuple((name, one["help"]) for name, one in below.items()))
    if walk.has_ended and "after" in walk.node:
        return Wanted(kind=walk.node["after"])
    return _argument(walk)


def _option(walk: _Walk, word: str) -> Wanted:
    name, equals, value = word.partition("=")
    if not equals:
        return Wanted(_options(walk))
    option = walk.option(name)
    if option is None or "kind" not in option:
        return Wanted()
    return Wanted(kind=_kind(option), prefix=f"{name}={_listed(option, value)}")


def _listed(option: Node, word: str) -> str:
    """Return what of a list with commas is said already: `project,` of `project,mo`."""
    is_list = option.get("is_many") and not isinstance(option["kind"], str)
    return word[: word.rfind(",") + 1] if is_list else ""


def _argument(walk: _Walk) -> Wanted:
    known = walk.node.get("arguments", ())
    at = len(walk.arguments)
    if at >= len(known) and not (known and known[-1].get("is_many")):
        return Wanted(() if walk.has_ended else _options(walk))
    return Wanted(kind=_kind(known[min(at, len(known) - 1)]))


def _options(walk: _Walk) -> tuple[Offer, ...]:
    """Return the options that may still be given, by the names that say most."""
    return tuple(
        (name, one["help"])
        for one in walk.node.get("options", ())
        if one.get("is_many") or one["names"][0] not in walk.given
        for name in one["names"]
        if name.startswith("--")
    )


def _kind(parameter: Node) -> str | tuple[str, ...]:
    kind = parameter["kind"]
    return kind if isinstance(kind, str) else tuple(kind)
