"""The list of hostile cases and the tests that hold them agree: each has its tests, or a reason why it has none."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
LIST = TESTS.parent / "docs" / "cases.md"
NUMBERS = set(range(1, 66))


@cache
def marked():
    """This will give {number: {(file, test)}} of all tests that say which cases they hold."""
    found = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in numbers_of(node):
                    found.setdefault(number, set()).add((str(path.relative_to(TESTS.parent)), node.name))
    return found


def numbers_of(function):
    calls = [one for one in function.decorator_list if isinstance(one, ast.Call)]
    marks = [call for call in calls if ast.unparse(call.func) == "pytest.mark.case"]
    return [argument.value for mark in marks for argument in mark.args]


@cache
def listed():
    """This will give {number: {(file, test)}} as the list has it, an empty set for what does not apply."""
    _title, *parts = re.split(r"^### (\d+)$", LIST.read_text(), flags=re.MULTILINE)
    found = {}
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        assert int(number) not in found, f"{number} is listed twice."
        assert ("Does not apply: there is no " in text) != ("*Sent:*" in text and "*Comes back:*" in text), number
        rows = re.findall(r"^- `([\w/.]+)`: (.*)$", text, re.MULTILINE)
        found[int(number)] = {(file, name) for file, names in rows for name in re.findall(r"`(\w+)`", names)}
    return found


@pytest.mark.parametrize("number", sorted(NUMBERS))
def test_a_case_is_held_by_the_tests_that_the_list_names(number):
    assert listed()[number] == marked().get(number, set())


def test_there_are_no_other_cases():
    assert listed().keys() == NUMBERS
    assert marked().keys() <= NUMBERS


def test_a_case_without_a_test_says_why_it_does_not_apply():
    without = [number for number, tests in listed().items() if not tests]
    assert all(re.search(rf"^### {number}\n\nDoes not apply: ", LIST.read_text(), re.MULTILINE) for number in without)
