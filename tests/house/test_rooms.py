"""The rules of docs/explanation/architecture.md, read off the source itself."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "src/telemhq_cli",
    "src/telemhq_agents",
    "codex_watcher",
    "claude_code_hooks",
    "server_stub",
)
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "misc"}
LONGEST_FILE, LONGEST_FUNCTION = 450, 60


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """Return every module that the file imports, at any depth of the code."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def called(path: Path) -> set[str]:
    """Return the dotted name of everything the file calls by a plain name or one attribute."""
    return {
        ast.unparse(node.func)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }


def test_the_walk_sees_the_five_packages() -> None:
    assert {name_of(path).removeprefix("src/").split("/")[0] for path in SOURCES} == {
        "telemhq_cli",
        "telemhq_agents",
        "codex_watcher",
        "claude_code_hooks",
        "server_stub",
    }


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_stays_one_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_function_stays_readable(path: Path) -> None:
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_room_is_named_after_a_kind_of_code() -> None:
    vague = [name_of(path) for path in SOURCES if VAGUE & set(re.split(r"[_/.]", name_of(path)))]
    assert vague == []


def test_package_files_are_empty() -> None:
    full = [
        name_of(p) for p in SOURCES if p.name == "__init__.py" and p.read_text(encoding="utf-8")
    ]
    assert full == []


def test_the_clock_has_one_home() -> None:
    asking = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today"}
    homes = {"src/telemhq_agents/clock.py", "claude_code_hooks/hook.py"}
    strays = [name_of(p) for p in SOURCES if name_of(p) not in homes and asking & called(p)]
    assert strays == []


def test_http_out_has_one_home_per_process() -> None:
    speaking = {"httpx", "http.client", "urllib.request", "requests"}
    homes = ("src/telemhq_agents/delivery/", "server_stub/notify/")
    outside = [path for path in SOURCES if not name_of(path).startswith(homes)]
    strays = [name_of(path) for path in outside if speaking & imported(path)]
    assert strays == []


def test_sql_has_one_home_per_process() -> None:
    roots = ("sqlite3", "sqlalchemy", "psycopg", "alembic")
    homes = ("server_stub/store/", "src/telemhq_agents/ledger/")
    strays = [
        name_of(path)
        for path in SOURCES
        if not name_of(path).startswith(homes)
        and any(name.split(".")[0] in roots for name in imported(path))
    ]
    assert strays == []


def test_no_dialect_is_asked_for_outside_the_store() -> None:
    strays = [
        name_of(path)
        for path in SOURCES
        if not name_of(path).startswith("server_stub/store/")
        and re.search(r"\bdialect\b", path.read_text(encoding="utf-8"))
    ]
    assert strays == []


def test_only_the_renderer_prints() -> None:
    strays = [
        name_of(path)
        for path in SOURCES
        if not name_of(path).startswith("src/telemhq_cli/render/")
        and {"print", "sys.stdout.write", "typer.echo"} & called(path)
    ]
    assert strays == []


def test_the_hook_imports_only_the_lightest_modules() -> None:
    light = {
        "sys",
        "os",
        "json",
        "_json",
        "_signal",
        "time",
        "fcntl",
        "errno",
        "__future__",
        "__future__.annotations",
    }
    assert imported(ROOT / "claude_code_hooks" / "hook.py") <= light


def test_lint_exceptions_carry_their_reasons() -> None:
    bare = [
        f"{name_of(path)}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"#\s*(noqa|type: ignore)", line)
        and not re.search(r"(noqa: [A-Z0-9, ]+|ignore\[[\w, -]+\]).* - \w", line)
    ]
    assert bare == []


def test_every_ruff_ignore_has_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("ignore = [", 1)[1].split("\n]", 1)[0]
    bare = [line for line in block.splitlines() if line.strip() and "#" not in line]
    assert tomllib.loads(text)["tool"]["ruff"]["lint"]["select"] == ["ALL"]
    assert bare == []
