"""Imports point inwards only: core knows nobody, ports know core, Dagster knows all."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "grace_assets"
PORTS = ("lake", "sources", "world", "render", "notify", "api", "ask", "dashboard", "assistant")


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((PACKAGE / folder).rglob("*.py"))]


def offending(path: Path, *prefixes: str) -> list[str]:
    return sorted(
        name for name in imported(path) if any((name + ".").startswith(p + ".") for p in prefixes)
    )


@pytest.mark.parametrize("path", files("core", *PORTS), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_nothing_but_the_outer_ring_imports_dagster(path):
    assert offending(path, "dagster", "grace_assets.assets", "grace_assets.resources") == []


def test_nothing_needs_pandas_which_is_not_installed_with_us():
    assert [path for path in files(".") if offending(path, "pandas")] == []
    assert [path for path in files(".") if ".to_pandas(" in path.read_text("utf-8")] == []


@pytest.mark.parametrize("path", files("core"), ids=lambda p: p.name)
def test_the_core_imports_no_port(path):
    assert offending(path, *(f"grace_assets.{port}" for port in PORTS)) == []


@pytest.mark.parametrize("path", files("core", "render", "ask"), ids=lambda p: p.name)
def test_the_core_reads_no_clock(path):
    source = path.read_text(encoding="utf-8")
    assert not [
        word for word in ("datetime.now", "time.time", "utcnow", "today()") if word in source
    ]
