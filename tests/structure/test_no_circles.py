"""No module imports, directly or through others, a module that imports it; imports in functions count."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"


def modules() -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in (SOURCE / "turbine").rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imported(tree: ast.AST, known: dict[str, Path]) -> set[tuple[str, str | None]]:
    """What a module imports: (module, name); the name is None for the module itself."""
    found: set[tuple[str, str | None]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update((alias.name, None) for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add((inner, None) if inner in known else (node.module, alias.name))
    return found


def graph() -> dict[str, set[str]]:
    """The modules that each module needs. A name that a package re-exports leads to the module that defines it."""
    known = modules()
    imports = {module: imported(ast.parse(path.read_text(encoding="utf-8")), known) for module, path in known.items()}
    exports = {
        module: {name: source for source, name in imports[module] if name is not None}
        for module, path in known.items()
        if path.name == "__init__.py"
    }

    def resolve(module: str, name: str | None) -> str:
        while name is not None and name in exports.get(module, {}):
            module = exports[module][name]
        return module

    return {module: {resolve(source, name) for source, name in pairs} - {module} for module, pairs in imports.items()}


def circles(needs: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that need each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for needed in sorted(needs[module]):
            if needed not in index:
                visit(needed)
                low[module] = min(low[module], low[needed])
            elif needed in stack:
                low[module] = min(low[module], index[needed])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                result.append(sorted(group))

    for module in sorted(needs):
        if module not in index:
            visit(module)
    return result


def test_no_modules_import_each_other() -> None:
    assert [] == circles(graph())


def test_a_circle_is_found() -> None:
    needs = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "c"}}
    assert [["b", "c"]] == circles(needs)
