"""The drawing of the error tree is the tree."""

import ast
import builtins
import re
from pathlib import Path

from tasks import errors

REPOSITORY = Path(__file__).parents[2]
ROOMS = ("flows", "tasks", "models", "storage", "drawn")
ROOTS = {"MovieDreamerError": ("Exception",), "ModelError": ("Exception",)}

Tree = dict[str, tuple[str, ...]]


def test_the_drawing_shows_each_public_error_class_under_its_root() -> None:
    assert drawn(errors.__doc__ or "") == defined()
    assert {root.__name__ for root in errors.FOR_USERS} == set(ROOTS)


def drawn(text: str) -> Tree:
    """Name -> names of its bases, as the drawing has them."""
    above: list[str] = []
    tree: Tree = {}
    for depth, name, also in re.findall(r"^((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+Error)((?: [A-Z]\w+Error)*)", text, re.M):
        above[len(depth) // 4 :] = [name]
        tree[name] = (*above[-2:-1], *also.split()) or ("Exception",)
    return tree


def defined() -> Tree:
    """The same of the classes in the code; those with an underscore never leave their module."""
    classes = [
        (node.name, tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases))
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    found: Tree = {}
    while more := {name: bases for name, bases in classes if name not in found and any(map(_is_error(found), bases))}:
        found |= more
    return found


def _is_error(found: Tree):
    def is_error(name: str) -> bool:
        own = getattr(builtins, name, None)
        return name in found or (isinstance(own, type) and issubclass(own, BaseException))

    return is_error
