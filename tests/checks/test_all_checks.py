"""Every independently computed value is either compared by a test of this folder or listed here with the reason."""

import ast
from pathlib import Path

NOT_YET: dict[str, set[str]] = {}
"""What no operator computes yet: topic, and the values that wait for it."""


def names_in(path):
    """Values that the tests of a file take: checks["name"], or checks[name] with the names of a parametrization."""
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if not (isinstance(function, ast.FunctionDef) and function.name.startswith("test_")):
            continue
        for node in ast.walk(function):
            if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "checks"):
                continue
            if isinstance(node.slice, ast.Constant):
                yield node.slice.value
                continue
            for decorator in function.decorator_list:
                yield from (
                    item.value
                    for item in ast.walk(decorator)
                    if isinstance(item, ast.Constant) and isinstance(item.value, str)
                )


def test_every_value_is_compared_or_listed(checks):
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    compared = {name for path in files for name in names_in(path)} & checks.keys()
    waiting = set().union(*NOT_YET.values())
    assert not compared & waiting
    assert compared | waiting == checks.keys()
    assert (len(compared), len(waiting), len(checks)) == (41, 0, 41)
