"""The README's map is true: every module is on it, and imports only what stands before it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def modules_in_order() -> list[str]:
    table = (ROOT / "README.md").read_text().split("| floor |")[1].split("\n| top |")[0]
    return [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[2])]


def imported_modules(path: Path, package: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            first, _, rest = node.module.partition(".")
            if first == package:
                found |= {rest.split(".")[0]} if rest else {alias.name for alias in node.names}
    return found


def test_every_module_is_on_the_map():
    on_disk = {path.stem for path in (ROOT / "nanochat").glob("*.py")} - {"__init__"}
    order = modules_in_order()
    assert set(order) == on_disk and len(order) == len(on_disk)


def test_modules_import_only_what_stands_before_them():
    order = modules_in_order()
    for name in order:
        path = ROOT / "nanochat" / f"{name}.py"
        later = {module for module in imported_modules(path, "nanochat") if order.index(module) >= order.index(name)}
        assert not later, f"{name} imports {later}, which stand after it"
        assert not imported_modules(path, "scripts") and not imported_modules(path, "tasks")


def test_scripts_do_not_import_each_other():
    for path in (ROOT / "scripts").glob("*.py"):
        assert not imported_modules(path, "scripts"), path.name
