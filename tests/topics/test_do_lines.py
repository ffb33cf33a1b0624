"""Every ``do=`` of the package is code: collected from its source, placeholders filled by plausible names, compiled."""

import ast
import itertools
from pathlib import Path

import pytest

import mifit

PACKAGE = Path(mifit.__file__).parent
#: a name or formula, a number, a comparison, nothing, the end of a call, its beginning
FILLERS = ("x1", "1", "== 1", "", ")", "df.mice.impute(x1")
DEEPEST = 9  # from a name to its value, from a call to what its function returns, ...
MOST = 200  # ways to write one

TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"  # what it advises is typed into a shell: tests/test_command_line.py
}
STEMS = {tree: Path(name).stem for name, tree in TREES.items()}
PARENTS = {child: node for tree in TREES.values() for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
FUNCTIONS, CALLS = {}, {}
for node in (node for tree in TREES.values() for node in ast.walk(tree)):
    if isinstance(node, ast.FunctionDef):
        FUNCTIONS.setdefault(node.name, []).append(node)
    if isinstance(node, ast.Call):
        CALLS.setdefault(getattr(node.func, "id", getattr(node.func, "attr", None)), []).append(node)


def above(node):
    """The function, or else the module, that a node stands in."""
    node = PARENTS[node]
    while not isinstance(node, ast.FunctionDef | ast.Module):
        node = PARENTS[node]
    return node


def module_of(node):
    """The file that a node stands in."""
    while not isinstance(node, ast.Module):
        node = PARENTS[node]
    return node


def source_of(node):
    """The module that a called name was imported from; empty where it was not."""
    for one in ast.walk(module_of(node)):
        if isinstance(one, ast.ImportFrom) and any((a.asname or a.name) == node.func.id for a in one.names):
            return (one.module or "").rpartition(".")[2]
    return ""


def values_of(node):
    """Expressions that a name may stand for: assigned here or in the module, or handed over by a caller."""
    scope, found = above(node), []
    while True:
        for one in ast.walk(scope):
            targets = one.targets if isinstance(one, ast.Assign) else [getattr(one, "target", None)]
            if isinstance(one, ast.Assign | ast.AnnAssign) and above(one) is scope and one.value is not None:
                for target in targets:
                    if isinstance(target, ast.Name) and target.id == node.id:
                        found.append(one.value)
                    if isinstance(target, ast.Tuple) and isinstance(one.value, ast.Tuple):
                        pairs = zip(target.elts, one.value.elts, strict=True)
                        found += [value for name, value in pairs if getattr(name, "id", "") == node.id]
        if isinstance(scope, ast.FunctionDef):
            names = [one.arg for one in (*scope.args.args, *scope.args.kwonlyargs)]
            if node.id in names:
                place = names.index(node.id)
                for call in CALLS.get(scope.name, []):
                    found += [k.value for k in call.keywords if k.arg == node.id]
                    found += call.args[place : place + 1]
        if found or isinstance(scope, ast.Module):
            return found
        scope = above(scope)


def is_rendered(node):
    """Whether an expression is a call that ``calls.py`` renders, with code before it or behind it or without."""
    while isinstance(node, ast.Call) and getattr(node.func, "attr", "") in (
        "then",
        "after",
        "with_verb",
        "in_place_of",
        "joined",
    ):
        node = node.func.value
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("call", "calls.call", "errors.call", "left_alone")


def texts(node, depth=0):
    """Texts that an expression may be, a null for a placeholder that nothing is known of; empty for what is no text."""
    if depth > DEEPEST:
        return []
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append([part.value])
            elif part.conversion == ord("r"):
                parts.append(["'x1'"])
            else:
                parts.append(["1"] if part.format_spec else texts(part.value, depth + 1) or ["\0"])
        return ["".join(one) for one in itertools.islice(itertools.product(*parts), MOST)]
    if isinstance(node, ast.IfExp):
        return [*texts(node.body, depth + 1), *texts(node.orelse, depth + 1)]
    if isinstance(node, ast.BoolOp):
        return [text for one in node.values for text in texts(one, depth + 1)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        pairs = itertools.product(texts(node.left, depth + 1), texts(node.right, depth + 1))
        return ["".join(pair) for pair in itertools.islice(pairs, MOST)]
    if isinstance(node, ast.Name):
        return [text for one in values_of(node) for text in texts(one, depth + 1)][:MOST]
    if isinstance(node, ast.Subscript) and ast.unparse(node.slice) == ":-1":
        return [text[:-1] for text in texts(node.value, depth + 1)]
    if isinstance(node, ast.Call) and is_rendered(node):
        return ["df.mice.impute()"]  # rendered from its parts, by calls.py alone
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "replace":
        return texts(node.func.value, depth + 1)
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "format":
        return [text.replace("{!r}", "'x1'").replace("{}", "'x1'") for text in texts(node.func.value, depth + 1)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        called = FUNCTIONS.get(node.func.id, [])
        own = [one for one in called if module_of(one) is module_of(node)]  # a name of its own file first
        called = own or [one for one in called if STEMS[module_of(one)] == source_of(node)] or called
        returned = [
            one.value for function in called for one in ast.walk(function)
            if isinstance(one, ast.Return) and one.value is not None and above(one) is function
        ]  # fmt: skip
        return [text for one in returned for text in texts(one, depth + 1)][:MOST]
    return []


def is_code(text):
    """Whether a line can be pasted, whatever its placeholders are; a line for a terminal is one, too."""
    if text.startswith("pip install "):
        return True
    first, *rest = text.split("\0")
    for fillers in itertools.islice(itertools.product(FILLERS, repeat=len(rest)), MOST):
        try:
            compile(first + "".join(map("".join, zip(fillers, rest, strict=True))), "do", "exec")
        except SyntaxError:
            continue
        return True
    return False


LINES = [
    (f"{name}:{one.lineno}", text)
    for name, tree in TREES.items()
    for one in ast.walk(tree)
    if isinstance(one, ast.keyword) and one.arg == "do"
    for text in texts(one.value)
]


def test_most_lines_are_found():
    places = sum(isinstance(one, ast.keyword) and one.arg == "do" for tree in TREES.values() for one in ast.walk(tree))
    assert places > 250
    assert len({place for place, _ in LINES}) > 0.9 * places


@pytest.mark.parametrize("name", sorted(TREES))
def test_every_line_to_paste_is_code(name):
    assert [line for line in LINES if line[0].startswith(f"{name}:") and not is_code(line[1])] == []


def test_prose_is_no_code():
    assert not is_code("define x before this call")
    assert not is_code("df.mice.impute('y ~ x'")
    assert is_code("df.mice.impute('y ~ \0')") and is_code("df['a'] = df['a']\0")
