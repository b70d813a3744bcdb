"""No two modules need each other, not even inside their functions: whoever reads one need not know the other."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("flows", "tasks", "models", "storage", "drawn")


def test_no_module_imports_itself_by_a_detour_counting_imports_inside_functions_and_for_types() -> None:
    modules = {_name(path): path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")}
    assert len(modules) > 250
    needs = {name: set(_needed(ast.parse(path.read_text()), modules)) - {name} for name, path in modules.items()}
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


def _name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def _needed(node: ast.AST, modules: dict[str, Path]) -> Iterator[str]:
    """The modules that a piece of code imports, also those that only annotations need."""
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names if alias.name in modules)
        case ast.ImportFrom(module=str(module)):
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield from (name for name in [inner if inner in modules else module] if name in modules)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _needed(child, modules)
