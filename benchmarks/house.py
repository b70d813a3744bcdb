"""Counts of the code: lines, files, who imports whom, long functions, public names without a docstring.

python benchmarks/house.py [FOLDER]    of this checkout, or of another one, such as a worktree of an older commit
"""

import ast
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import networkx

PACKAGES = ("flows", "tasks", "models", "storage", "drawn")
LONG = 60
"""Lines from which a function counts as long."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def modules(folder: Path) -> dict[str, ast.Module]:
    """The core's modules by their dotted names."""
    paths = (path for package in PACKAGES for path in sorted((folder / package).rglob("*.py")))
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
        for path in paths
    }


def imports(trees: dict[str, ast.Module]) -> "networkx.DiGraph[str]":
    """Who imports whom, also inside functions and for types alone."""
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(trees)
    graph.add_edges_from((name, one) for name, tree in trees.items() for one in _imported(tree, trees) if one != name)
    return graph


def _imported(tree: ast.Module, trees: dict[str, ast.Module]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in trees)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from (name for name in [inner if inner in trees else node.module] if name in trees)


def circles(graph: "networkx.DiGraph[str]") -> list[list[str]]:
    """Import cycles: groups of modules that import each other."""
    return [sorted(found) for found in networkx.strongly_connected_components(graph) if len(found) > 1]


def _long(trees: dict[str, ast.Module]) -> list[str]:
    return [
        f"{name}.{node.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= LONG
    ]


def _undocumented(trees: dict[str, ast.Module]) -> list[str]:
    """Modules that hold something, and the public functions and classes at their top level."""
    found = [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    return found + [
        f"{name}.{node.name}"
        for name, tree in trees.items()
        for node in tree.body
        if isinstance(node, Definition) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]


def _parameters(tree: ast.Module, function: str) -> int:
    taken = next(node.args for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
    return len(taken.posonlyargs + taken.args + taken.kwonlyargs)


def main() -> None:
    """Prints the counts, and what is long, circular or undocumented by its name."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])
    trees = modules(folder)
    graph = imports(trees)
    lines = Counter[str]()
    for path in (path for package in PACKAGES for path in (folder / package).rglob("*.py")):
        lines[path.relative_to(folder).parts[0]] += len(path.read_text().splitlines())
    rings = [", ".join(ring) for ring in circles(graph)]
    named = {"circle": rings, "long function": _long(trees), "undocumented": _undocumented(trees)}
    for what, names in named.items():
        for name in names:
            print(f"{what}: {name}")
    counts = {
        "core lines": lines.total(),
        "core files": len(trees),
        "files with one importer": sum(degree == 1 for _, degree in graph.in_degree()),
        "circles": len(rings),
        "parameters of run_stage": _parameters(trees["tasks.stage"], "run_stage"),
        "files that read settings": sum(
            any(one.rsplit(".", 1)[-1] in ("recipe", "recipes") for one in graph.successors(name)) for name in graph
        ),
        f"functions over {LONG} lines": len(named["long function"]),
        "public names without a docstring": len(named["undocumented"]),
    }
    for what, count in counts.items():
        print(f"{count:8,}  {what}")
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
