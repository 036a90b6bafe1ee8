"""Style as a test that can fail: sizes, words, tests without branches, nothing that belongs to one machine.

Run by ``make lint``; prints every finding as ``path:line: what``, and fails when there is one. Limits come from CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
TEST_LINES_MAX = 45

BANNED_NAMES = {"utils", "helpers", "common", "manager", "misc"}
# The SDK's public import path `replicate.helpers` is part of what 1.x promised.
BANNED_NAMES_ALLOWED = {"packages/replicate/src/replicate/helpers.py"}
BANNED_PHRASES = (
    "keep in " + "sync",
    "py" + "pi.org",
    "registry.npm" + "js.org",
    "files.python" + "hosted.org",
    "/work/" + "main",
)


def tracked_files() -> list[Path]:
    """What git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in sorted(set(listing.stdout.split("\n"))) if name and (ROOT / name).is_file()]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function after its docstring: prose is not complexity."""
    body = function.body
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(body) > 1:
        first = body[1]
    return (function.end_lineno or function.lineno) - first.lineno + 1


def check_python(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Sizes, a module docstring, and no branches in tests."""
    tree = ast.parse(text)
    is_test = "tests" in path.parts and path.name.startswith("test_")
    line_count = text.count("\n")
    if line_count > FILE_LINES_MAX:
        yield 1, f"{line_count} lines; at most {FILE_LINES_MAX}"
    if text.strip() and ast.get_docstring(tree) is None:
        yield 1, "no module docstring"
    for function in functions(tree):
        limit = TEST_LINES_MAX if is_test and function.name.startswith("test_") else FUNCTION_LINES_MAX
        if body_lines(function) > limit:
            yield function.lineno, f"{function.name} has {body_lines(function)} lines; at most {limit}"
        if is_test and function.name.startswith("test_"):
            for node in ast.walk(function):
                if isinstance(node, ast.If):
                    yield node.lineno, f"{function.name} branches; parametrize it"


def check_text(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Words that must not appear."""
    if path == Path(__file__).resolve():
        return
    for number, line in enumerate(text.split("\n"), 1):
        for phrase in BANNED_PHRASES:
            if phrase in line.lower():
                yield number, f"the words {phrase!r}"


def check_name(path: Path) -> Iterator[tuple[int, str]]:
    """File names that hide what is inside."""
    name = str(path.relative_to(ROOT))
    if name not in BANNED_NAMES_ALLOWED and BANNED_NAMES & set(re.split(r"[/._-]", name)):
        yield 1, "a name that says nothing: " + ", ".join(sorted(BANNED_NAMES & set(re.split(r"[/._-]", name))))


def main() -> None:
    """Report every finding and fail when there is one."""
    findings = []
    for path in tracked_files():
        findings += [(path, *finding) for finding in check_name(path)]
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        findings += [(path, *finding) for finding in check_text(path, text)]
        if path.suffix == ".py":
            findings += [(path, *finding) for finding in check_python(path, text)]
    for path, line, what in findings:
        print(f"{path.relative_to(ROOT)}:{line}: {what}")
    sys.exit(f"tidy: {len(findings)} findings" if findings else 0)


if __name__ == "__main__":
    main()
