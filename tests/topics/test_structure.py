"""The rules of ARCHITECTURE.md, checked by reading the code: who imports whom, size, names, the layout of the tests."""

from __future__ import annotations

import ast
import io
import re
import runpy
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mifit.imputation import methods

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mifit"

# Imports point downwards, from a layer to any later one; packages of one layer never import one another.
LAYERS = (
    ("sklearn",),
    ("__main__", "accessor"),
    ("imputed", "trial"),
    ("workflow",),
    ("examine", "storage", "planning"),
    ("results", "record"),
    ("imputation", "analysis", "pooling"),
    ("formula",),
    ("frame", "workers"),
    ("files", "display"),
    ("errors",),
    ("calls", "typing"),
)
# The same within imputation.
INNER = (("make_plan",), ("sampler",), ("plan",), ("methods",), ("numerics",), ("contract", "seed"))
# Which of our packages import these; no other does.
IMPORTERS = {"patsy": {"formula"}, "statsmodels": {"analysis"}}
# Who may not.
NEVER = {"pandas": {"imputation", "pooling"}}
# Too slow to load for an `import mifit`: imported inside the functions that use them.
INSIDE_FUNCTIONS = (
    "duckdb", "joblib", "matplotlib", "polars", "pyarrow", "pyreadstat", "scipy.stats", "sklearn", "statsmodels",
    "threadpoolctl", "tqdm",
)  # fmt: skip
CEILING = 400  # lines of code in one file; docstrings, comments and blank lines are free


class Import(NamedTuple):
    """One imported name, as an absolute dotted path."""

    path: str
    line: int
    inside: bool  # in the body of a function


def modules(folder: Path) -> dict[str, Path]:
    """Every module of a package by its path, as in ARCHITECTURE.md: 'imputation/contract.py'."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.py"))}


def package_of(name: str) -> str:
    """The package of a module: of 'frame/kinds.py' and 'frame.kinds.Kind' it is 'frame', of 'errors.py' 'errors'."""
    return re.split(r"[/.]", name)[0]


def packages_below(own: str) -> set[str]:
    """The packages that one may import, itself excluded."""
    if own == "datasets":
        return {"errors", "calls"}
    depth = next(k for k, layer in enumerate(LAYERS) if own in layer)
    return {lower for layer in LAYERS[depth + 1 :] for lower in layer}


def imports(name: str, path: Path) -> Iterator[Import]:
    """Every name a module imports; relative imports are resolved."""
    package = ["mifit", *name.split("/")[:-1]]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    inner = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, id(node) in inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (Import(f"{start}.{alias.name}", node.lineno, id(node) in inner) for alias in node.names)


def targets(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a module imports, for types too, as dotted paths."""
    found = set()
    for item in imports(name, path):
        parts = item.path.split(".")
        found |= set([".".join(parts[:n]) for n in (len(parts), len(parts) - 1) if ".".join(parts[:n]) in known][:1])
    return found - {dotted(name)}


def dotted(name: str) -> str:
    """A module's path as it is imported: 'mifit.frame.kinds' for 'frame/kinds.py'."""
    return ".".join(["mifit", *re.sub(r"(/?__init__)?\.py$", "", name).split("/")]).rstrip(".")


def within(path: str, package: str) -> bool:
    """Whether a dotted path is the package or lies in it."""
    return path == package or path.startswith(package + ".")


def public(tree: ast.Module) -> set[str]:
    """Functions and classes defined at the top of a module whose names do not begin with an underscore."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


def declared(tree: ast.Module) -> list[str] | None:
    """The literal list `__all__`, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def bound(tree: ast.Module) -> set[str]:
    """Every name that the top of a module binds: definitions, assignments, imports."""
    names = {node.name for node in tree.body if hasattr(node, "name")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def place(name: str) -> tuple[int, str]:
    """Where a name stands in `__all__`: CONSTANTS, then Classes, then functions (ruff's RUF022)."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def lines_of_code(source: str) -> int:
    """Lines that hold code: no blank line, no comment, no docstring."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in blank:
            held.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            held.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(held)


# Each check takes the folder of a package and returns what is wrong in it, so that it can be tried on a faulty one.


def wrong_directions(folder: Path) -> list[str]:
    wrong = []
    for name, path in modules(folder).items():
        own = package_of(name)
        if name == "__init__.py":
            continue
        if own != "datasets" and not any(own in layer for layer in LAYERS):
            wrong.append(f"{name}: the package {own!r} is in no layer")
            continue
        for item in imports(name, path):
            if within(item.path, "mifit"):
                target = package_of(item.path.removeprefix("mifit").lstrip(".")) or "mifit"
                if target != own and target not in packages_below(own):
                    wrong.append(f"{name}:{item.line}: {own} imports {target}")
    return wrong


def wrong_order_within_imputation(folder: Path) -> list[str]:
    wrong, above = [], {part: layer[0] for layer in INNER for part in layer}
    order = list(above)
    for name, path in modules(folder).items():
        parts = re.split(r"[/.]", name)
        if parts[0] != "imputation" or parts[1] not in above:
            continue
        for item in imports(name, path):
            if within(item.path, "mifit.imputation"):
                target = item.path.split(".")[2] if item.path.count(".") > 1 else ""
                if target in above and order.index(target) < order.index(parts[1]):
                    wrong.append(f"{name}:{item.line}: {parts[1]} imports {target}")
    return wrong


def circles(folder: Path) -> list[str]:
    """Files that import one another, straight or through others, also for types or inside functions."""
    here = modules(folder)
    known = {dotted(name) for name in here}
    reached = {dotted(name): targets(name, path, known) for name, path in here.items()}
    free: set[str] = set()
    while ready := {name for name, below in reached.items() if name not in free and below <= free}:
        free |= ready
    return sorted(reached.keys() - free)


def wrong_importers(folder: Path) -> list[str]:
    wrong = []
    for name, path in modules(folder).items():
        for item in imports(name, path):
            for package, owners in IMPORTERS.items():
                if within(item.path, package) and package_of(name) not in owners:
                    wrong.append(f"{name}:{item.line}: {package} is for {', '.join(owners)} only")
            for package, strangers in NEVER.items():
                if within(item.path, package) and package_of(name) in strangers:
                    wrong.append(f"{name}:{item.line}: {package} does not enter {package_of(name)}")
    return wrong


def early_imports(folder: Path) -> list[str]:
    return [
        f"{name}:{item.line}: import {package} inside the function that uses it"
        for name, path in modules(folder).items()
        for item in imports(name, path)
        for package in INSIDE_FUNCTIONS
        if within(item.path, package) and not item.inside and name != f"{package}.py"  # loaded by its own name
    ]


def too_long(folder: Path) -> list[str]:
    sizes = {name: lines_of_code(path.read_text(encoding="utf-8")) for name, path in modules(folder).items()}
    return [f"{name}: {size} lines of code" for name, size in sizes.items() if size > CEILING]


def wrong_public_names(folder: Path) -> list[str]:
    wrong = []
    for name, path in modules(folder).items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = declared(tree)
        if ast.get_docstring(tree) is None:
            wrong.append(f"{name}: does not open with a sentence on what lives here")
        if names is None:
            if len(tree.body) > 1:
                wrong.append(f"{name}: has no __all__")
            continue
        if names != sorted(set(names), key=place):
            wrong.append(f"{name}: __all__ is not sorted")
        if missing := public(tree) - set(names):
            wrong.append(f"{name}: __all__ lacks {sorted(missing)}")
        if unbound := set(names) - bound(tree):
            wrong.append(f"{name}: __all__ names {sorted(unbound)}, which is not there")
    return wrong


def table_of_packages(text: str) -> list[str]:
    """Names in the table whose first heading is 'Package', from the top; folders end in a slash."""
    table = text.partition("| Package |")[2].partition("\n\n")[0]
    return [row.strip("| ").split(" | ")[0].strip("` ") for row in table.splitlines()[2:]]


def wrong_table(folder: Path, text: str) -> list[str]:
    listed = table_of_packages(text)
    if not listed:
        return ["no table of packages"]
    here = {f"{package_of(name)}/" if "/" in name else name for name in modules(folder) if name != "__init__.py"}
    wrong = [f"the table names {name}, which is not there" for name in listed if name not in here]
    wrong += [f"the table names {name} twice" for name in sorted(set(listed)) if listed.count(name) > 1]
    wrong += [f"the table does not name {name}" for name in sorted(here - set(listed))]
    depths = [next((k for k, layer in enumerate(LAYERS) if package_of(name) in layer), len(LAYERS)) for name in listed]
    pairs = zip(listed, listed[1:], depths, depths[1:], strict=False)
    return wrong + [f"{other} stands above {name}" for name, other, depth, below in pairs if below < depth]


def absent_files(folder: Path, text: str) -> list[str]:
    """Files that the text names, as `formula/source.py`, and that are not there."""
    named = re.findall(r"`((?:\w+/)*\w+\.py)(?:: \w+)?`", text)
    roots = [folder, folder.parent]
    folders = {"": ""}
    wrong = []
    for name in named:
        parent = name.rpartition("/")[0]
        if parent:
            folders[""] = parent
        where = name if parent else f"{folders['']}/{name}"
        if not any((root / one).exists() for root in roots for one in (name, where)):
            wrong.append(f"the text names {name}, which is not there")
    return wrong


#: names that were given up for the terms of the field, and what to say instead
RETIRED = {
    "Asked": "Arguments", "FAR": "LONG_STEP", "Judge": "ScoresValues", "Members": "GroupedMissing",
    "SECOND": "SECOND_TOLERANCE", "TENTH": "WARM_TOLERANCE", "bench": "a likelihood term", "hole": "missing",
    "holed": "incomplete", "holes": "missing or imputed", "seat": "a likelihood term",
    "silent": "uninformative, without_outcome or held_at_zero", "tilt": "log_sd_slope", "tilted": "heteroscedastic",
    "uneven": "heteroscedastic",
    "Bench": "LikelihoodTerm", "Fence": "Constraint", "Ground": "Record",
    "Judging": "ScoresValues",
    "Left": "WarmStart", "Parts": "Record", "Ready": "FactorRuntime", "Running": "ChainState", "Study": "Record",
    "Undone": "TransformedOutcome", "Wishes": "Options", "fence": "constraint", "heads": "first_rows or headings",
    "hedge": "build_constraints", "ready": "runtime", "settle": "a verb that says what is reached", "wish": "option",
    "wished": "stated", "wishes": "options",
}  # fmt: skip
#: words that no message, docstring or comment has
RETIRED_WORDS = re.compile(
    r"\b(holes?|holed|wish|wishes|wished|fences?|hedge|crooked|bays|bench|tilt|tilted|uneven|drawn apart|in harmony"
    r"|takes no word|nothing tells|round in a circle|of one's own|to speak of|a judge)\b",
    re.IGNORECASE,
)
#: labels of columns of frames that users have had since the first release
LABELS = ("holes",)


def retired_names(folder: Path) -> list[str]:
    wrong = []
    for name, path in modules(folder).items():
        source = path.read_text(encoding="utf-8")
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and token.string in RETIRED:
                wrong.append(f"{name}:{token.start[0]}: {RETIRED[token.string]}, not {token.string}")
    return wrong


def retired_words(folder: Path) -> list[str]:
    """Texts with a retired word; names inside them, in backticks or braces or behind a dot, are code."""
    wrong = []
    for name, path in modules(folder).items():
        source = path.read_text(encoding="utf-8")
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in (tokenize.STRING, tokenize.COMMENT):
                continue
            text = token.string.strip("\"'rbfRBF")
            prose = re.sub(r"``[^`]*``|\{[^{}]*\}|\.\w+|[\w.]+:\w+", "", text)
            table_shown = re.search(r"\b(rows|columns) +(columns +)?holes\b", text)  # printed by an example
            if (
                text not in LABELS
                and not table_shown
                and (found := RETIRED_WORDS.search(prose))
                and len(prose.split()) > 1
            ):
                wrong.append(f"{name}:{token.start[0]}: {found[0]}")
    return wrong


def parameters(function: ast.FunctionDef) -> set[str]:
    """Names that a function takes."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return {one.arg for one in every}


def wrong_parameters(folder: Path) -> list[str]:
    """Docstrings that describe a parameter which the function does not take; of a class, which its constructor."""
    wrong = []
    for name, path in modules(folder).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            section = re.search(
                r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", ast.get_docstring(node) or "", re.S | re.M
            )
            makers = [m for m in ast.walk(node) if isinstance(m, ast.FunctionDef) and m.name in ("__init__", "__new__")]
            taker = node if isinstance(node, ast.FunctionDef) else makers[0] if makers else None
            if section is None or taker is None:
                continue
            heads = [line.split(" : ")[0] for line in section[1].splitlines() if line and not line[0].isspace()]
            told = {word.strip(" *") for head in heads for word in head.split(",")}
            if extra := told - parameters(taker):
                wrong.append(f"{name}: {node.name} takes no {', '.join(sorted(extra))}")
    return wrong


def wrong_layout(tests: Path, package: Path) -> list[str]:
    """Folders of tests that no package is called after, and tests that import tests: what they share is in support."""
    wrong = []
    for path in sorted(tests.rglob("*.py")):
        name = path.relative_to(tests)
        parent = name.parent.as_posix()
        if path.name.startswith("test_") and parent != "topics" and not (package / parent).is_dir():
            wrong.append(f"{name}: no package is called {parent}")
        for item in imports(name.as_posix(), path):
            if any(part.startswith("test_") for part in item.path.split(".")):
                wrong.append(f"{name}:{item.line}: imports the test {item.path}")
    return wrong


def machine_paths(files: list[Path]) -> list[str]:
    tops = "|".join(["work", "tmp", "farm", "root", "home", "Users", "opt"])
    pattern = re.compile(rf"(?<![\w./~-])/(?:{tops})/\w")
    return [
        f"{path.name}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


# Modules that keep something for later calls, and must: a worker opens what its jobs share once.
_KEEPERS = {("workers.py", "_OPEN")}
_CHANGES = frozenset({"append", "add", "update", "setdefault", "extend", "insert", "appendleft"})


def module_memos(folder: Path) -> list[str]:
    """Containers at the top of a module that a function changes: what is computed once is handed on instead."""
    wrong = []
    for name, path in modules(folder).items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {target.id for node in tree.body for target in _targets(node) if isinstance(target, ast.Name)}
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for node in (inner for function in functions for inner in ast.walk(function)):
            if isinstance(node, ast.Global):
                changed = set(node.names)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
                changed = {node.func.value.id} if isinstance(node.func.value, ast.Name) else set()
            else:
                items = [target.value for target in _targets(node) if isinstance(target, ast.Subscript)]
                changed = {item.id for item in items if isinstance(item, ast.Name)}
            wrong += [f"{name}:{node.lineno} changes {one}" for one in changed & top if (name, one) not in _KEEPERS]
    return sorted(set(wrong))


def _targets(node: ast.AST) -> list[ast.expr]:
    """What a statement assigns to."""
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else []


# The files that may name a model: the tables of models, and words of other programs for methods.
_MODEL_FILES = (
    "analysis/catalogue.py", "analysis/models.py", "formula/model_facts.py", "imputation/plan/likelihoods.py",
    "imputation/plan/usable_columns.py",
)  # fmt: skip
_MODELS = frozenset(
    {"ols", "wls", "gls", "rlm", "quantreg", "negativebinomial", "generalizedpoisson", "zeroinflatedpoisson", "mnlogit"}
    | {"betareg", "glm", "gee", "mixedlm", "phreg", "conditional_logit", "conditional_poisson", "conditional_mnlogit"}
    | {"mixed_logit", "mixed_poisson", "mixed_ordinal"}
)
_AMBIGUOUS = frozenset({"logit", "probit", "poisson", "ordinal"})  # links, methods and kinds are called so too


def named_models(package: Path) -> list[str]:
    """Models named outside their tables and messages: what differs between them is a field of the tables."""
    wrong = []
    for name, path in modules(package).items():
        if name in _MODEL_FILES:
            continue
        tree, printed = ast.parse(path.read_text(encoding="utf-8")), set()
        for node in ast.walk(tree):
            pairs = [(node.arg, node.value)] if isinstance(node, ast.keyword) else []
            if isinstance(node, ast.Dict):
                pairs = [
                    (getattr(key, "value", None), value) for key, value in zip(node.keys, node.values, strict=True)
                ]
            printed |= {id(part) for word, value in pairs if word == "model" for part in ast.walk(value)}
        for node in ast.walk(tree):
            known = _MODELS
            if isinstance(node, ast.Compare) and getattr(node.left, "attr", getattr(node.left, "id", "")) == "model":
                parts: list[ast.AST] = [part for one in node.comparators for part in ast.walk(one)]
                known = _AMBIGUOUS
            else:
                parts = [node]
            constants = [p for p in parts if isinstance(p, ast.Constant) and p.value in known and id(p) not in printed]
            wrong += [f"{name}:{p.lineno} names {p.value!r}" for p in constants]
    return wrong


# Methods by name and class; names that statsmodels has too are left out.
_METHODS = frozenset({"norm", "power", "pmm", "sample", "negbin", "multinomial"})
_METHOD_CLASSES = frozenset(name for name in methods.__all__ if isinstance(getattr(methods, name), type))
_FITTED_CLASSES = frozenset(
    name
    for path in (PACKAGE / "imputation/methods").glob("*.py")
    for name in re.findall(r"^class (\w+Fitted)\b", path.read_text(encoding="utf-8"), re.MULTILINE)
)
_CHOOSES = "imputation/plan/working_law.py"  # which of two laws of a count: it compares methods with one another


def asked_classes(node: ast.AST) -> list[str]:
    """Classes of methods, and of their fitted halves, that an expression asks an object for."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
        asked = node.args[1:]
    elif isinstance(node, ast.Compare) and any(isinstance(op, ast.Is | ast.IsNot | ast.Eq) for op in node.ops):
        asked = node.comparators
    else:
        return []
    named = [getattr(part, "id", getattr(part, "attr", "")) for one in asked for part in ast.walk(one)]
    return [name for name in named if name in (_METHOD_CLASSES | _FITTED_CLASSES) - {"Sample"}]  # of rows, elsewhere


def listed_methods(folder: Path) -> list[str]:
    """Tables of methods, and objects asked for their class, outside of methods: what they say is a fact of each."""
    wrong: dict[str, str] = {}
    for name, path in modules(folder).items():
        if name.startswith("imputation/methods/"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp):
                parts: list[ast.expr | None] = [node.left, node.right]
            else:
                parts = node.elts if isinstance(node, ast.Tuple | ast.Set | ast.List) else getattr(node, "keys", [])
            named = [p.value for p in parts if isinstance(p, ast.Constant) and p.value in _METHODS]
            named += [p.id for p in parts if isinstance(p, ast.Name) and p.id in _METHOD_CLASSES]
            if len(named) > 1:
                wrong[f"{name}:{node.lineno}"] = f"{name}:{node.lineno} lists {named}"
            elif name != _CHOOSES and asked_classes(node):
                wrong.setdefault(f"{name}:{node.lineno}", f"{name}:{node.lineno} asks for {asked_classes(node)}")
    return list(wrong.values())


def test_imports_point_downwards_and_packages_side_by_side_never_import_one_another():
    assert wrong_directions(PACKAGE) == []


def test_the_parts_of_imputation_are_in_order():
    assert wrong_order_within_imputation(PACKAGE) == []


def test_no_files_import_one_another():
    assert circles(PACKAGE) == []


def test_patsy_statsmodels_and_pandas_are_imported_where_they_may_be():
    assert wrong_importers(PACKAGE) == []


def test_slow_packages_are_imported_inside_functions():
    assert early_imports(PACKAGE) == []


def test_no_file_is_longer_than_the_ceiling():
    assert too_long(PACKAGE) == []


def test_every_module_opens_with_a_sentence_and_says_in_order_what_is_public():
    assert wrong_public_names(PACKAGE) == []


def test_the_table_of_packages_is_complete():
    assert wrong_table(PACKAGE, (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")) == []


def test_docstrings_describe_parameters_that_are_there():
    assert wrong_parameters(PACKAGE) == []


def test_no_retired_name_or_word_comes_back():
    assert retired_names(PACKAGE) == []
    assert retired_words(PACKAGE) == []


def test_modules_keep_nothing_from_one_call_to_the_next():
    assert module_memos(PACKAGE) == []


def test_what_is_known_of_a_method_is_said_by_the_method():
    assert listed_methods(PACKAGE) == []


def test_what_differs_between_models_is_a_field_of_their_tables():
    assert named_models(PACKAGE) == []


def test_the_files_that_architecture_names_are_there():
    assert absent_files(PACKAGE, (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")) == []


def test_the_tests_are_laid_out_as_the_package_is_and_share_support_only():
    assert wrong_layout(ROOT / "tests", PACKAGE) == []


def test_a_test_in_a_strange_folder_or_one_that_imports_another_is_caught(tmp_path):
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange/test_a.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "test_b.py").write_text("def f():\n    from test_a import x\n", encoding="utf-8")
    assert len(wrong_layout(tmp_path, PACKAGE)) == 2


def test_no_file_names_a_path_of_some_machine():
    suffixes = {".py", ".md", ".toml", ".cfg", ".txt", ".in"}
    own = [path for folder in ("mifit", "examples", "tests", "benchmarks") for path in (ROOT / folder).rglob("*")]
    files = [path for path in [*own, *ROOT.glob("*")] if path.suffix in suffixes and path.is_file()]
    assert machine_paths([path for path in files if "reference" not in path.parts]) == []


def run(code: str) -> str:
    """What a fresh Python prints after that code."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_mifit_loads_nothing_slow_and_registers_the_accessor():
    slow = {*INSIDE_FUNCTIONS, "patsy", "scipy.linalg"}
    loaded = run("import sys, pandas; b = set(sys.modules); import mifit; print(*sorted(set(sys.modules) - b))").split()
    assert slow & set(loaded) == set()
    assert run("import mifit, pandas; print(type(pandas.DataFrame().mice).__name__)") == "MiceAccessor"


def test_every_public_name_of_mifit_is_found_when_asked_for_and_listed():
    assert run("import mifit; print([n for n in mifit.__all__ if getattr(mifit, n) is None])") == "[]"
    assert run("import mifit; print(set(mifit.__all__) - set(dir(mifit)))") == "set()"
    assert run("import mifit; print(hasattr(mifit, 'imputations'))") == "False"


def test_every_module_can_be_imported_by_its_path():
    assert (
        run("import mifit; from mifit.imputation.numerics import linear; print(mifit.impute.__module__)")
        == "mifit.accessor"
    )
    assert run("import mifit.imputation.methods as m; print(m.PMM.__name__)") == "PMM"


def test_the_floors_are_those_of_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floors = (ROOT / "tests/floors.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in floors if not line.startswith("#"))
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["test"], *extras["io"]]
    lowest = dict(one.split(">=") for one in needed if not one.startswith(("hypothesis", "mifit[", "pytest")))
    assert pinned.keys() == lowest.keys()
    assert [name for name, floor in lowest.items() if not f"{pinned[name]}.".startswith(f"{floor}.")] == []


def test_every_extra_is_one_that_something_uses():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    known = {"matplotlib": "plot", "pyarrow": "io", "maketables": "tables", "dask": "dask", "scikit-learn": "sklearn",
             "polars": "polars", "duckdb": "duckdb", "pyreadstat": "spss"}  # fmt: skip
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in [*PACKAGE.rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    )
    for package, extra in known.items():
        assert package in text and any(package in one for one in extras[extra])
    assert extras.keys() == {*known.values(), "all", "test", "docs", "check"}


FAULTY = {
    "an import upwards": (wrong_directions, "frame/table.py", "from ..formula.terms import parse\n"),
    "a package that imports one beside it": (
        wrong_directions,
        "imputation/contract.py",
        "def f():\n    from ..pooling import rubin\n",
    ),
    "results that import imputed": (wrong_directions, "results/pooled.py", "from .. import imputed\n"),
    "an absolute import upwards": (wrong_directions, "errors.py", "import mifit.frame.table\n"),
    "a package that imports all of mifit": (wrong_directions, "pooling/rubin.py", "import mifit\n"),
    "a package nobody knows": (wrong_directions, "helpers.py", "x = 1\n"),
    "datasets that import frame": (wrong_directions, "datasets/__init__.py", "from ..frame import kinds\n"),
    "a parameter that is not there": (
        wrong_parameters,
        "frame/table.py",
        'def f(x):\n    """A.\n\n    Parameters\n    ----------\n    y : int\n    """\n',
    ),
    "a retired name": (retired_names, "frame/table.py", "def f(wishes): ...\n"),
    "a retired word in a message": (retired_words, "frame/table.py", 'x = f"{3} holes are left"\n'),
    "an image in a message": (retired_words, "frame/table.py", 'x = "impute takes no word {word!r}"\n'),
    "a retired word in a comment": (retired_words, "frame/table.py", "x = 1  # no hole is left\n"),
    "a plan that imports the sampler": (
        wrong_order_within_imputation,
        "imputation/plan/build.py",
        "from ..sampler.chain import Chain\n",
    ),
    "a memo that grows": (module_memos, "formula/design.py", "_MADE = []\ndef f(x):\n    _MADE.append(x)\n"),
    "a memo that is set": (module_memos, "imputation/sampler/runs.py", "HELD = [None]\ndef f(x):\n    HELD[0] = x\n"),
    "a global": (module_memos, "frame/table.py", "last = None\ndef f(x):\n    global last\n    last = x\n"),
    "a model by name": (named_models, "results/effects.py", 'if call.model == "phreg":\n    pass\n'),
    "a model whose name means more": (named_models, "analysis/fit.py", 'x = 1 if job.model == "ordinal" else 2\n'),
    "models in a table": (named_models, "examine/verdict.py", 'x = {"mixedlm": 1}\n'),
    "methods by name": (listed_methods, "imputation/sampler/chain.py", 'if label in ("pmm", "sample"):\n    pass\n'),
    "one method by class": (listed_methods, "imputation/plan/plan.py", "x = isinstance(y, methods.Mixed)\n"),
    "a method by its type": (listed_methods, "imputation/plan/plan.py", "x = type(y) is not Mixture\n"),
    "a fitted half by class": (listed_methods, "sampler/chain.py", "x = isinstance(y, PMMFitted)\n"),
    "methods by class": (listed_methods, "imputation/plan/plan.py", "x = isinstance(y, Logistic | Probit)\n"),
    "methods in a table": (listed_methods, "examine/explain.py", 'x = {"norm": 1, "pmm": 2}\n'),
    "patsy where it may not be": (wrong_importers, "imputation/contract.py", "def f():\n    import patsy\n"),
    "statsmodels where it may not be": (wrong_importers, "results/pooled.py", "from statsmodels.api import OLS\n"),
    "pandas in the pooling": (wrong_importers, "pooling/rubin.py", "import pandas as pd\n"),
    "pandas deep in imputation": (wrong_importers, "imputation/methods/pmm.py", "import pandas.api\n"),
    "a slow import at the top": (early_imports, "pooling/rubin.py", "from scipy import stats\n"),
    "a slow import under a condition": (early_imports, "imputed.py", "if True:\n    import joblib\n"),
    "a slow import in a class": (early_imports, "imputed.py", "class A:\n    from tqdm.auto import tqdm\n"),
    "401 lines of code": (too_long, "imputed.py", "x = 1\n" * 401),
    "no sentence": (wrong_public_names, "imputed.py", '__all__ = ["x"]\nx = 1\n'),
    "no public names": (wrong_public_names, "imputed.py", '"""A."""\nx = 1\n'),
    "a public name left out": (wrong_public_names, "imputed.py", '"""A."""\n__all__ = ["x"]\nx = 1\ndef f(): ...\n'),
    "public names out of order": (wrong_public_names, "imputed.py", '"""A."""\n__all__ = ["x", "A"]\nx = A = 1\n'),
    "a public name of nothing": (wrong_public_names, "imputed.py", '"""A."""\n__all__ = ["f"]\n'),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_is_caught(fault, tmp_path):
    check, name, source = FAULTY[fault]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(source, encoding="utf-8")
    assert len(check(tmp_path)) == 1


FAULTLESS = '''"""A sentence."""

import numpy as np
from scipy.special import stdtr
from ..numerics.linear import solve
from ...formula.design import freeze
from ...errors import PlanError

__all__ = ["CONSTANT", "Plan", "plan"]

CONSTANT = 1


class Plan:
    """A noun."""


def plan():
    """A verb."""
    from joblib import Parallel


def _helper(): ...
'''


def test_a_package_without_fault_is_let_pass(tmp_path):
    (tmp_path / "imputation/plan").mkdir(parents=True)
    (tmp_path / "imputation/__init__.py").write_text('"""A package."""\n', encoding="utf-8")
    (tmp_path / "imputation/plan/build.py").write_text(FAULTLESS, encoding="utf-8")
    checks = [
        wrong_directions, wrong_order_within_imputation, circles, wrong_importers, early_imports, too_long,
        wrong_public_names,
    ]  # fmt: skip
    assert [check(tmp_path) for check in checks] == [[]] * len(checks)


def test_docstrings_comments_and_blank_lines_are_no_code():
    source = '"""One\n\ntwo."""\n\n# three\nx = (\n    1\n)\n\n\n'
    source += 'def f():\n    """Four\n    five.\n    """\n    return """six\nseven"""\n'
    assert lines_of_code(source) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("from ..frame.kinds import Kind\n", "from .table import Table\n"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .kinds import Kind\n",
            "from .table import Table\n",
        ),
        ("def f():\n    from . import kinds\n", "import mifit.frame.table\n"),
    ],
    ids=["straight", "for types", "inside a function"],
)
def test_files_that_import_one_another_are_caught(one, other, tmp_path):
    (tmp_path / "frame").mkdir()
    (tmp_path / "frame/table.py").write_text(one, encoding="utf-8")
    (tmp_path / "frame/kinds.py").write_text(other, encoding="utf-8")
    (tmp_path / "frame/cells.py").write_text("import mifit.errors\n", encoding="utf-8")
    assert circles(tmp_path) == ["mifit.frame.kinds", "mifit.frame.table"]


def test_the_table_is_compared_both_ways(tmp_path):
    for name in ("errors.py", "frame/kinds.py", "pooling/rubin.py", "imputation/methods/pmm.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    head, rows = "| Package | What it does |\n|---|---|\n", ["imputation/", "pooling/", "frame/", "errors.py"]

    def table(names):
        return head + "".join(f"| `{name}` | a |\n" for name in names)

    assert wrong_table(tmp_path, table(rows)) == []
    assert wrong_table(tmp_path, table([*rows[:1], "scale/", *rows[2:]])) == [
        "the table names scale/, which is not there", "the table does not name pooling/", "frame/ stands above scale/",
    ]  # fmt: skip
    assert wrong_table(tmp_path, table([*rows, "frame/"])) == [
        "the table names frame/ twice",
        "frame/ stands above errors.py",
    ]
    assert wrong_table(tmp_path, table(reversed(rows))) != []
    assert wrong_table(tmp_path, "nothing") == ["no table of packages"]


def test_a_file_that_the_text_names_must_be_there(tmp_path):
    (tmp_path / "mifit/formula").mkdir(parents=True)
    for name in ("mifit/errors.py", "mifit/formula/source.py", "mifit/formula/allowed.py"):
        (tmp_path / name).touch()
    text = "`errors.py`, `formula/source.py`, `allowed.py`, `formula/source.py: sourced`"
    assert absent_files(tmp_path / "mifit", text) == []
    assert len(absent_files(tmp_path / "mifit", text.replace("allowed", "forbidden"))) == 1


def test_a_path_of_a_machine_is_caught(tmp_path):
    told, free = tmp_path / "told.md", tmp_path / "free.md"
    told.write_text("see " + "/".join(["", "tmp", "x"]) + "\n", encoding="utf-8")
    free.write_text("see tests/tmp/x, a/work/b and https://doi.org/10.1000/work/x\n", encoding="utf-8")
    assert len(machine_paths([told, free])) == 1


@pytest.mark.parametrize("name", ["convergence", "fitting", "parallel", "run", "simulation", "visits"])
def test_a_benchmark_finds_all_it_imports(name, monkeypatch):
    folder = Path(__file__).parents[2] / "benchmarks"
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")  # some set them for themselves
    monkeypatch.syspath_prepend(str(folder))
    runpy.run_path(str(folder / f"{name}.py"), run_name="loaded")
