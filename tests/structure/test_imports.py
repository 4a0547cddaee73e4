"""What `import turbine` may bring along, and in which direction rooms may know each other."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOO_HEAVY = {
    "apprise",
    "argon2",
    "click",
    "fastapi",
    "filelock",
    "httpx",
    "jsonschema",
    "psutil",
    "psycopg",
    "rich",
    "starlette",
    "typer",
    "uvicorn",
}


def test_import_turbine_brings_neither_http_nor_command_line_nor_drivers() -> None:
    program = "import sys, turbine; print(*{name.partition('.')[0] for name in sys.modules}, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert set() == TOO_HEAVY & set(loaded.stdout.split())


def test_rooms_import_downwards_only() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_only_one_module_makes_threads_for_calls() -> None:
    """The standard library joins threads at exit: one that hangs would keep a process alive for ever."""
    makers = ("asyncio.to_thread(", "run_in_executor(", "ThreadPoolExecutor(")
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "src").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(maker in line for maker in makers)
    ]
    assert [] == found


def test_every_thread_is_a_daemon() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        for call in path.read_text(encoding="utf-8").split("threading.Thread(")[1:]
        if "daemon=True" not in call[:300]
    ]
    assert [] == found


def test_the_modules_of_the_engine_import_in_no_circle() -> None:
    """Imports inside functions and under TYPE_CHECKING count: they only hide a circle."""
    package = ROOT / "src" / "turbine" / "engine"
    modules = {
        ".".join(("turbine", "engine", *path.relative_to(package).with_suffix("").parts)): path
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    imports: dict[str, set[str]] = {}
    for module, path in modules.items():
        nodes = [
            node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        imported = {node.module or "" for node in nodes}
        imported |= {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
        imports[module] = imported & set(modules)
    tuple(graphlib.TopologicalSorter(imports).static_order())  # raises CycleError, naming the circle
