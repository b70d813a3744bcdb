"""No two modules need each other, not even inside their functions: whoever reads one need not know the other."""

from pathlib import Path

from benchmarks.house import circles, imports, modules


def test_no_module_imports_itself_by_a_detour_counting_imports_inside_functions_and_for_types() -> None:
    trees = modules(Path(__file__).parents[1])
    assert len(trees) > 250
    assert circles(imports(trees)) == []
