"""SECURITY.md promises nothing that no test holds."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[2].strip())
def test_each_row_of_the_table_names_tests_that_exist(row):
    # A cell of code may hold no bar, so the bars are the table's.
    _, who, what, how, proof, _ = row.split("|")
    assert who.strip() in ("writer", "server", "visitor", "reader")
    assert what.strip() and how.strip()
    named = re.findall(r"`([^`]+)::([^`]+)`", proof)
    assert named
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)", TEXT))
def test_each_file_that_it_leads_to_is_there(path):
    assert (ROOT / path).is_file()
