"""Every symbol of the Go library whose design Turbine follows has a name here that does the same.

The table of symbols is `seed.ROWS`; each row is used by one test in a file `test_seed_….py` beside this one, through
the public face only and on both databases.
"""

from __future__ import annotations

import ast
from pathlib import Path

from seed import ROWS


def test_every_row_of_the_table_is_used_by_one_test() -> None:
    used = [row for path in Path(__file__).parent.glob("test_seed_*.py") for row in rows_used_in(path)]
    assert sorted(ROWS) == sorted(used)


def rows_used_in(path: Path) -> list[tuple[str, ...]]:
    """What the tests of a file say in `@uses(…)`; none of them may be left out by another mark."""
    rows: list[tuple[str, ...]] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.name.startswith("test_"):
            continue
        for mark in node.decorator_list:
            name, _, _ = ast.unparse(mark).partition("(")
            assert name in ("uses", "pytest.mark.parametrize"), f"{path.name}: {node.name} is marked {name}"
            if name == "uses":
                assert isinstance(mark, ast.Call)
                rows.append(tuple(ast.literal_eval(symbol) for symbol in mark.args))
    return rows
