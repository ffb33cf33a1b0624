"""Files made to do harm: no text of one is evaluated unless it only computes, wherever it stands, whoever uses it."""

import ast
import contextlib
import copy
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import types
import typing
import warnings
from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.formula.allowed import Approved, approve
from mifit.formula.condition import Condition
from mifit.formula.derived import Derived
from mifit.formula.evaluate import Confined, environment, evaluated
from mifit.formula.functions import of_module
from mifit.formula.question import ask
from mifit.formula.source import Captured, FileText, Passed, Reference
from mifit.formula.terms import parse
from mifit.frame.table import read
from mifit.imputation.plan.plan import Plan
from mifit.storage import study as study_room
from mifit.storage.classes import fields_in_file, name_of
from mifit.storage.serialize import Packer
from support.archives import parts_of, repacked

ROOT = Path(__file__).parents[2]
N = 80


def half(x):
    return x / 2


def frame():
    rng = np.random.default_rng(5)
    found = pd.DataFrame({
        "x": rng.normal(size=N), "z": rng.normal(size=N), "w": rng.random(N) + 0.5, "s": np.tile(["f", "m"], N // 2),
        "smoker": np.where(rng.random(N) < 0.5, "yes", "no"), "site": np.arange(N) // 2 % 10,
    })  # fmt: skip
    found["y"] = found["x"] + found["z"] + rng.normal(size=N)
    found["cigarettes"] = np.where(found["smoker"] == "yes", rng.poisson(9, N), np.nan)
    found.loc[found.index[(found["smoker"] == "yes")][:8], "cigarettes"] = np.nan
    return found.assign(x=found["x"].mask(rng.random(N) < 0.2), y=found["y"].mask(rng.random(N) < 0.1))


#: name -> (formula, words of impute): between them every field of a plan that holds code
STUDIES = {
    "chained": (None, {
        "derived": {"r": "x / (w + 1)"}, "predictors": {"y": "x + np.exp(z / 9)"}, "ignore": "w > 1.45",
        "conditional": {"cigarettes": "smoker == 'yes'"},
    }),
    "groups": ("y ~ x + I(z**2)", {
        "by": "s", "congeniality": "terms", "ignore": "w > 1.45", "conditional": {"cigarettes": "smoker == 'yes'"},
    }),
    "compatible": ("y ~ x * z + bs(w, df=4)", {"methods": {"cigarettes": "leave"}}),
    "mixed": ("y ~ x", {
        "model": "mixedlm", "groups": "site", "re_formula": "~ z", "vc_formula": {"s": "0 + C(s)"},
        "methods": {"cigarettes": "leave"},
    }),
}  # fmt: skip


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Document and arrays of each study."""
    folder, found = tmp_path_factory.mktemp("studies"), {}
    for name, (formula, words) in STUDIES.items():
        mifit.impute(frame(), formula, m=2, iterations=1, rng=1, **words).save(folder / name)
        found[name] = parts_of((folder / name).read_bytes())
    return found


# What is stored: every field that can hold text, and what becomes of it

CODE = {
    "Wishes.derived", "Wishes.conditional", "Wishes.ignore", "Wishes.predictors", "Plan.written", "Terms.formula",
    "Terms.outcome", "Terms.codes", "Terms.factors", "Question.keywords", "Condition.code",
}  # fmt: skip
#: labels of columns, words from a list, sentences, names of traces: compared and printed, never evaluated
DATA = {
    "Bounds.cut", "Bounds.high", "Bounds.low", "Condition.names", "Condition.variables", "ErrorLaw.by",
    "ErrorLaw.form", "ErrorLaw.option", "ErrorLaw.untested", "Factor.label", "Factor.role", "Factor.rows",
    "Factor.weighting", "Wishes.clusters", "Wishes.weights_as",
    "Factor.variable", "Piece.what", "Piece.which", "Plan.columns", "Plan.events", "Plan.groups", "Plan.mode",
    "Plan.numeric", "Plan.order", "Question.level", "Question.model", "Question.names", "Question.outcome",
    "Question.said", "Variable.label", "Variable.name", "Variable.predictors", "Variable.role", "Variable.sampler",
    "Variable.why", "Wishes.auxiliary", "Wishes.bounds", "Wishes.by", "Wishes.censored", "Wishes.collapse",
    "Wishes.congeniality", "Wishes.error_law", "Wishes.id", "Wishes.kinds", "Wishes.link", "Wishes.methods",
    "Wishes.order", "Wishes.truncated", "Wishes.weights", "Wishes.where", "WorkingLaw.drawn", "WorkingLaw.fact",
    "WorkingLaw.form", "WorkingLaw.option",
}  # fmt: skip


def inner_types(declared):
    """A declared type and all types within it."""
    yield declared
    for one in typing.get_args(declared):
        yield from inner_types(one)


def fields_with_text(kind, seen):
    """Fields of a stored class, and of those within it, that may hold a text."""
    if kind in seen:
        return
    seen.add(kind)
    hints = typing.get_type_hints(kind)
    for name in fields_in_file(kind):
        within = list(inner_types(hints[name]))
        if any(one in (str, typing.Any, Hashable) for one in within):
            yield f"{name_of(kind) or kind.__name__}.{fields_in_file(kind).get(name, name)}"
        for one in within:
            if isinstance(one, type) and (dataclasses.is_dataclass(one) or hasattr(one, "_fields")):
                yield from fields_with_text(one, seen)


def test_every_stored_field_that_can_hold_text_is_listed_as_code_or_as_data():
    found = set(fields_with_text(Plan, set()))
    assert not CODE & DATA
    assert found == CODE | DATA


# Payloads

MARKER = "harm-was-done"
RUNS = (
    f"__import__('os').system('touch {MARKER}')", f"open('{MARKER}', 'w')", f"x + open('{MARKER}', 'w')",
    f"eval(\"open('{MARKER}', 'w')\")", f"(lambda: open('{MARKER}', 'w'))()", f"[open('{MARKER}', 'w') for _ in x]",
    f"{{open('{MARKER}', 'w') for _ in x}}", f"(f := open('{MARKER}', 'w'))", f"f'{{open(\"{MARKER}\", \"w\")}}'",
    "x.__class__.__base__.__subclasses__()", "x.tofile('" + MARKER + "')", "'{0.__class__}'.format(x)",
    f"getattr(x, 'tofile')('{MARKER}')", "type(x)(3)", f"Q('__builtins__')['open']('{MARKER}', 'w')",
    "Q('__builtins__')",
    f"np.save('{MARKER}', x)", f"np.savetxt('{MARKER}', x)", f"np.load('{MARKER}')", f"np.fromfile('{MARKER}')",
    f"np.memmap('{MARKER}', mode='w+', shape=3)", f"np.DataSource().open('{MARKER}', 'w')",
    f"pd.read_pickle('{MARKER}')",
    f"np.lib.npyio.os.system('touch {MARKER}')", "np.log(*[x])", "np.log(**{'x': x})",
    f"print(x, file=open('{MARKER}', 'w'))",
    f"test_trust.harm('{MARKER}')", "harm(x)", "np.vectorize(harm)(x)", "np.apply_along_axis(harm, 0, x)",
    "C(x, harm)", "np.frompyfunc(harm, 1, 1)(x)", "center(harm(x))", "x if harm(x) else x", "max(x, key=harm)",
    "x @ harm(x)", "x[harm(x)]", "(yield)", "globals()", "np.core.os", "np.where(x > 0, harm, x)",
    "bs(x, df=harm(x))", "_patsy_stobj0__center__.memorize_finish()", "scipy.special.os.system('touch x')",
    "I(__loader__)", "np.random.seed(1) + x", "np.seterr(all='ignore')", "np.log(x, x)", "np.log(x, out=x)",
    f"ｏｐｅｎ('{MARKER}', 'w')", f"__ｉmport__('os').system('touch {MARKER}')", f"np.ｓave('{MARKER}', x)",
    "x.__ｃlass__",
    f"np.lib.format.open_memmap('{MARKER}', shape=(1,))", f"np.genfromtxt('{MARKER}')", "pd.eval('x')",
    "patsy.eval('x')",
    "Q(Q('__class__'))", "Q(x)", "np.log(x, casting='unsafe')", "np.log(x, signature='d->d')", "half.__globals__",
    "np.log.reduce(x)", "np.add.at(x, 0, 1)", "np.pi.__class__", "np.float64.__subclasses__()", "C(x, Treatment(harm))",
    "C(x, Treatment.code_with_intercept)", "x; x", "x\nimport os", "np.log(**{'x': x})", "min(x, key=harm)", "x['a']",
)  # fmt: skip
EATS = (
    "x + len(str(1) * 3000000000)", "str(1) * 3000000000", "np.array(x, dtype='U6000000')", "bs(z, df=int('2000'))",
    "bs(z, df=2000)", "bs(z, 100000)", "cr(z, df=1e5)", "bs(z, knots=z)", "te(cr(x, df=200), cr(z, df=200))",
    "int(int(9 ** 999) ** 999) ** 999 + x", "9 ** 9 ** 9 + x", "(9 ** 99) ** 99 ** 99 + x", "max(9, 9) ** 9 ** 9 + x",
    "abs(-9) ** 999999 * x", "(1 + 1) ** 99999999 + x", "x + 10 ** 400", "smoker * 3000000000", "s * 3000000000",
    "'a' * 3000000000", "[1] * 3000000000", "np.multiply(s, 3000000000)", "np.where(x > 0, s, 'a') * 3000000000",
    "Q('s') * 3000000000", "I(s) * 3000000000", "np.zeros(3000000000)", "np.repeat(x, 3000000000)",
    "np.arange(3000000000) + x",
    "np.tile(x, 99999999)", "np.outer(x, x)", "x + np.add.outer(x, x)", "bs(x, df=1, degree=0) + x", "range(10**10)",
    "np.pad(x, 999999999)", "np.linspace(0, 1, 3000000000)", "'%3000000000d' % 1", "(x == 1) ** 999 ** 999",
    "1 << 99999999999",
    "True ** 999 + (True + True) ** 9999999", "round(1e300) ** 999 ** 9 + x", "np.array([[1], [2]]) + x",
    "divmod(x, 1)",
    "np.divmod(np.divmod(x, 1), 1)", "(" * 90 + "x" + ")" * 90 + "+" + "-" * 5000 + "x", "x" + " + x" * 30_000,
    "scipy.special.eval_jacobi(10**9, x, x, x)", "scipy.special.expn(2000000000, x)",
    "scipy.special.eval_hermite(z, x)",
    "round(x, 10**9)", "np.round(x, decimals=10**18)", "np.around(x, z)", "len(x) ** len(x) ** 9", "len(x) ** 999",
    "x[:, None] @ x[None, :]", "x @ x", "np.einsum('i,j', x, x)", "np.array([x, x])",
    "I(" * 10_000 + "x" + ")" * 10_000,
    "C(x, levels=[" + "1," * 5000 + "])", "C(x, levels=list(range(10**9)))", "bs(x, knots=[" + "1," * 900 + "])",
    "bs(x, df=4, degree=100000)", "cr(x, knots=range(10**9))", "not " * 2000 + "x", "-" * 3000 + "x",
    "f'{x:>999999999}'",
    "np.size(x) ** 9 ** 9", "np.size(x) ** np.size(x)",
    "np.size(x) ** len(x) ** np.size(z)", "np.int64(9) ** 999999", "x < " + "<".join(["1"] * 5000),
)  # fmt: skip


def harm(*_):
    """What no file may call."""
    Path(MARKER).touch()
    return 1.0


def put(value, payload):
    """A stored value with every text in it replaced; the labels of mappings stay."""
    if isinstance(value, str):
        return payload
    if isinstance(value, list):
        return [put(one, payload) for one in value]
    if isinstance(value, dict) and value.get("is") == "dict":
        return {**value, "of": [[key, put(one, payload)] for key, one in value["of"]]}
    if isinstance(value, dict) and value.get("is") in ("tuple", "set", "frozenset"):
        return {**value, "of": put(value["of"], payload)}
    return value


def nouns(stored, above=""):
    """Every noun of a document with its class and where it stands."""
    if isinstance(stored, dict):
        if stored.get("is") == "noun" and isinstance(stored.get("of"), dict):
            yield stored["class"], stored["of"], above
        for key, value in stored.items():
            yield from nouns(value, above + ("/groups" if key == "groups" else ""))
    elif isinstance(stored, list):
        for value in stored:
            yield from nouns(value, above)


def crafted(document, field, payload, nested):
    """A document with code in all fields of one sort; None where it has none. Terms are those of their formula."""
    document = copy.deepcopy(document)
    kind, _, name = field.partition(".")
    hit = False
    for class_name, of, above in nouns(document["plan"]):
        if class_name != kind or nested != ("/groups" in above) or name not in of:
            continue
        if kind == "Terms":
            within = f"I({payload})"
            formula = {"formula": f"y ~ x + {within}", "outcome": f"{within} ~ x"}.get(name, f"y ~ {within}")
            try:
                of.update(Packer().value(parse(formula))["of"])
            except mifit.MifitError:
                of[name] = put(of[name], formula if name == "formula" else payload)
            hit = True
            continue
        told = {"Plan.written": f"y ~ I({payload})", "Question.keywords": f"I({payload})"}.get(field, payload)
        told = f"z + I({payload})" if field == "Wishes.predictors" else told
        changed = put(of[name], told)
        hit = hit or changed != of[name]
        of[name] = changed
    return document if hit else None


def use(imp, quick=False):
    """Whatever evaluates something of a loaded study, one after the other; only errors of mifit are allowed."""
    if quick:
        with warnings.catch_warnings(), contextlib.suppress(mifit.MifitError):
            warnings.simplefilter("ignore")
            assert repr(imp)
            imp.fit("y ~ x + z" if imp.plan.questions else "z ~ w")
        return
    mixed = any(question.model == "mixedlm" for question in imp.plan.questions)
    for call in (
        lambda: imp.extend(m=1), lambda: imp.extend(iterations=1), lambda: imp.fit(), lambda: imp.fit("y ~ x + z"),
        lambda: imp.fit("x ~ z"), lambda: imp.fit("y ~ x", subset="w > 1"), lambda: imp.check(),
        lambda: imp.explain("x", int(np.flatnonzero(np.isnan(imp._record.table.given["x"].values))[0])),
        lambda: imp.impute_new(frame().head(6)), lambda: mixed or imp.alternatives("y ~ x"),
        lambda: (imp.plan, repr(imp)),
        lambda: mifit.impute(frame(), imp.plan, m=2, rng=1), lambda: pickle.loads(pickle.dumps(imp.plan)),
        lambda: mixed and imp.fit(model="mixedlm", groups="site"), lambda: imp.save("again.mifit"),
    ):  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(mifit.MifitError):
                call()


@pytest.fixture(autouse=True)
def nothing_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / MARKER).exists()


PLACES = [
    *(("chained", f, False) for f in sorted(CODE) if f.partition(".")[0] in ("Wishes", "Condition", "Terms")),
    *(("groups", field, nested) for field in sorted(CODE) for nested in (False, True)),
    *(("compatible", field, False) for field in ("Terms.formula", "Terms.outcome", "Plan.written")),
    *(("mixed", field, False) for field in ("Question.keywords", "Plan.written")),
]


#: one place of each sort of field; the slow tests see all
FIRST = [one for k, one in enumerate(PLACES) if one[1] not in [field for _, field, _ in PLACES[:k]]]


def attempt(studies, place, payloads, folder, quick=False):
    """Load a crafted file for each payload; what loads all the same is used. How many were refused at once."""
    (name, field, nested), refused = place, 0
    for payload in payloads:
        document = crafted(studies[name][0], field, payload, nested)
        if document is None:
            return None
        path = folder / "hostile.mifit"
        path.write_bytes(repacked(document, studies[name][1]))
        try:
            imp = mifit.load(path)
        except mifit.StorageError as error:
            assert error.do
            refused += 1
        else:
            use(imp, quick)
        assert not Path(MARKER).exists(), (place, payload)
    return refused


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_code_in_any_field_is_refused_when_the_file_is_read(studies, place, tmp_path):
    first = PLACES.index(place)
    payloads = [every[(first + step) % len(every)] for every in (RUNS, EATS) for step in (0, 17)]
    assert attempt(studies, place, payloads, tmp_path) in (len(payloads), None)


def test_every_sort_of_field_was_reached(studies):
    reached = {f for name, f, nested in PLACES if crafted(studies[name][0], f, "np.load(x)", nested) is not None}
    assert reached == CODE
    inside = {
        f for name, f, nested in PLACES if nested and crafted(studies[name][0], f, "np.load(x)", True) is not None
    }
    assert inside >= {"Condition.code", "Terms.formula", "Wishes.conditional", "Wishes.ignore"}


@pytest.mark.parametrize("place", FIRST, ids=str)
def test_what_nobody_looked_at_when_the_file_was_read_is_refused_when_it_is_evaluated(
    studies, place, tmp_path, monkeypatch
):
    monkeypatch.setattr(study_room, "check_plan", lambda *_: None)
    first = PLACES.index(place)
    payloads = [every[(first + step) % len(every)] for every, step in ((RUNS, 0), (EATS, 5))]
    attempt(studies, place, payloads, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("looked_at", [True, False])
def test_every_payload_in_every_field_does_no_harm(studies, place, looked_at, tmp_path, monkeypatch):
    if not looked_at:
        monkeypatch.setattr(study_room, "check_plan", lambda *_: None)
    refused = attempt(studies, place, RUNS + EATS, tmp_path)
    assert not looked_at or refused in (len(RUNS + EATS), None)


@pytest.mark.parametrize("code", RUNS + EATS)
def test_each_payload_is_refused_by_whoever_approves(code):
    names = {"np": Reference("numpy"), "scipy": Reference("scipy")}
    with pytest.raises(mifit.StorageError, match="Nothing of it was evaluated") as told:
        approve(code, {"x", "z", "s", "smoker"}, names, {"s", "smoker"})
    assert told.value.do


@pytest.mark.parametrize("field", sorted(DATA - {"Question.names", "Condition.names", "Plan.groups", "Wishes.where"}))
def test_code_in_a_field_of_data_is_never_evaluated(studies, field, tmp_path):
    names = [name for name in ("chained", "groups") if crafted(studies[name][0], field, RUNS[0], False) is not None]
    for name in names[:1]:
        attempt(studies, (name, field, False), [RUNS[0]], tmp_path, quick=True)


# Names


def test_a_column_that_is_named_like_code_is_data(tmp_path):
    code = f"open('{MARKER}', 'w')"
    data = frame().rename(columns={"z": code}).drop(columns="cigarettes")
    imp = mifit.impute(data, "y ~ x", model="mixedlm", groups="site", re_formula="~ w", m=2, iterations=1, rng=1)
    imp.save(tmp_path / "study.mifit")
    mifit.load(tmp_path / "study.mifit").extend(m=1)
    document, arrays = parts_of((tmp_path / "study.mifit").read_bytes())
    for text in (code, f"~ {code}", f"0 + {code}"):
        changed = json.loads(json.dumps(document).replace(json.dumps("~ w"), json.dumps(text)))
        (tmp_path / "hostile.mifit").write_bytes(repacked(changed, arrays))
        with pytest.raises(mifit.StorageError, match="Nothing of it was evaluated"):
            mifit.load(tmp_path / "hostile.mifit")


def test_what_is_imported_is_what_the_reader_passes_and_nothing_the_file_names(studies, tmp_path):
    document, arrays = parts_of(_saved(tmp_path, "y ~ x + half(z)"))
    path = tmp_path / "study.mifit"
    with pytest.raises(mifit.StorageError, match=r"names=\{'half': test_trust.half\}"):
        mifit.load(path)
    assert mifit.load(path, names={"half": half}).extend(m=1).m == 3
    (tmp_path / "module_of_the_file.py").write_text(f"open({MARKER!r}, 'w')\nhalf = abs\n")
    sys.path.insert(0, str(tmp_path))
    try:
        changed = json.loads(json.dumps(document).replace("test_trust:half", "module_of_the_file:half"))
        path.write_bytes(repacked(changed, arrays))
        with pytest.raises(mifit.StorageError, match="which a file cannot bring with it"):
            mifit.load(path)
        assert mifit.load(path, names={"half": half}).extend(m=1).m == 3
        assert "module_of_the_file" not in sys.modules
    finally:
        sys.path.remove(str(tmp_path))


def test_the_refusal_of_a_function_ends_in_the_call_that_passes_it(studies, tmp_path):
    document, arrays = studies["chained"]
    changed = crafted(document, "Wishes.predictors", "half(z)", False)
    (tmp_path / "study.mifit").write_bytes(repacked(changed, arrays))
    with pytest.raises(mifit.StorageError, match="is not a function that files may call") as told:
        mifit.load(tmp_path / "study.mifit")
    imp = eval(told.value.do, {"mifit": mifit, "half": half})
    assert imp.extend(m=1).m == 3


def test_names_of_the_caller_do_not_stand_in_for_those_of_a_file(studies, tmp_path):
    document, arrays = studies["compatible"]
    changed = crafted(document, "Plan.written", "abs(x)", False)
    (tmp_path / "study.mifit").write_bytes(repacked(changed, arrays))
    abs = harm
    imp = mifit.load(tmp_path / "study.mifit")
    use(imp)
    assert callable(abs)


def test_of_a_module_the_functions_that_are_passed_are_called_and_nothing_else():
    names = {"mine": Passed("mine", {"f": half})}
    environment(names).eval("mine.f(x)", inner_namespace={"x": np.ones(3)})
    codes = ("mine.g(x)", "mine.f.__globals__", "mine.__dict__", "mine._f(x)", "mine.told(x)", "mine.__init__(x)")
    for code in codes:
        with pytest.raises(mifit.StorageError, match="Nothing of it was evaluated"):
            approve(code, {"x"}, names)
    whole = types.ModuleType("mine")
    whole.f, whole.os = half, os
    for code in ("mine.f(x)", "mine.os.system('x')"):
        with pytest.raises(mifit.StorageError, match="Nothing of it was evaluated"):
            approve(code, {"x"}, {"mine": whole})


def test_a_study_that_calls_functions_of_a_module_is_passed_them_one_by_one(tmp_path, monkeypatch):
    mine = types.ModuleType("mine_of_the_test")
    exec("def half(x): return x / 2\ndef run(x): raise AssertionError", vars(mine))
    monkeypatch.setitem(sys.modules, "mine_of_the_test", mine)
    imp = mifit.impute(wide(), "y ~ mine.half(x)", m=2, iterations=1, rng=1)
    path = tmp_path / "study.mifit"
    imp.save(path)
    for names in ({}, {"mine": mine}, {"mine.run": mine.run}):
        with pytest.raises(mifit.StorageError, match="mine") as told:
            mifit.load(path, names=names)
        line = told.value.do.partition("; ")[2] or told.value.do
        scope = {"mifit": mifit, "mine": mine, "mine_of_the_test": mine}
        back = eval(line.partition("  #")[0].replace("load(path", f"load({str(path)!r}"), scope)
        assert back.identity == imp.identity
    pd.testing.assert_frame_equal(back.extend(m=3)[2], imp.extend(m=3)[2])
    back.save(tmp_path / "again.mifit")
    again = mifit.load(tmp_path / "again.mifit", names={"mine.half": mine.half})
    assert again.identity == imp.identity
    pd.testing.assert_series_equal(again.fit().params, imp.fit().params)


# Evaluation


def test_code_is_evaluated_in_one_place():
    for path in sorted((ROOT / "mifit").rglob("*.py")):
        called = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        names = {f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in called}
        if path.relative_to(ROOT / "mifit").as_posix() != "formula/evaluate.py":
            assert not names & {"exec", "EvalEnvironment", "Approved"} - (
                {"Approved"} if path.name == "allowed.py" else set()
            )
            assert not any(isinstance(f, ast.Name) and f.id == "eval" for f in called), path


def test_code_of_a_file_is_told_from_a_callers_by_its_type():
    table = read(pd.DataFrame({"y": [1.0, 2.5, 3.0, 0.5], "x": [0.5, 1.0, 7.0, 2.0]}))
    live, stored = ask("y ~ np.log(x)", table), ask(FileText("y ~ np.log(x)", {}), table)
    assert isinstance(live.names, Captured) and not isinstance(environment(live.names), Confined)
    for question in (
        stored,
        dataclasses.replace(stored, said=""),
        copy.deepcopy(stored),
        pickle.loads(pickle.dumps(stored)),
    ):
        assert not isinstance(question.names, Captured) and isinstance(environment(question.names), Confined)
        assert type(question.formula) is FileText
    for made in (Condition("open('x')", ("x",)), Derived("d", "open('x')", ("x",))):
        with pytest.raises(mifit.StorageError):
            made.holds(table, {"x": table["x"].values}) if isinstance(made, Condition) else made.value(
                {"x": table["x"].values}
            )
    with pytest.raises(TypeError, match="approved"):
        evaluated("1 + 1", {}, {})
    assert issubclass(Approved, object)


def test_approved_code_comes_to_what_it_always_came_to():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=50), "x": rng.normal(size=50), "g": rng.choice(list("abc"), 50)})
    table = read(data)
    from mifit.formula.design import freeze

    for right in (
        "x", "np.exp(x) + g", "bs(x, df=4)", "cr(x, df=3)", "C(g, Treatment('b'))", "C(g, Sum) : x", "center(x) * g",
        "I(x**2) + I((x**2 + 1)**0.5)", "np.where(x > 0, x, 0)", "I(g == 'a')", "standardize(x) - 1", "Q('x') + abs(x)",
        "bs(x, knots=[-0.5, 0.5])", "C(np.where(x > 0, 'up', 'down'))", "I(x / 1000000000)", "np.clip(x, -1, 1)",
        "te(cr(x, df=3), cr(y2, df=3))",
    ):  # fmt: skip
        wide = read(data.assign(y2=rng.normal(size=50))) if "y2" in right else table
        left, same = (freeze(ask(f, wide), wide) for f in (f"y ~ {right}", FileText(f"y ~ {right}", {})))
        values = {name: column.values for name, column in wide.columns.items()}
        assert left.names == same.names
        np.testing.assert_array_equal(left.matrix(values), same.matrix(values))


def test_no_function_of_numpy_that_is_allowed_reaches_beyond_its_arguments():
    for name, value in of_module("numpy").items():
        assert isinstance(value, np.ufunc | float | type) or value.__module__.startswith("numpy"), name
    forbidden = (
        "load",
        "save",
        "fromfile",
        "memmap",
        "frompyfunc",
        "vectorize",
        "apply_along_axis",
        "tile",
        "repeat",
        "os",
    )
    assert not set(forbidden) & set(of_module("numpy"))


@pytest.mark.parametrize(
    "formula", ["y ~ " + " * ".join(f"I(x + {k})" for k in range(40)), "y ~ (" + "+".join("abcdefghij") + ")**10",
                "y ~ " + "+".join(["x"] * 6000), "y ~ " + "(x + z)**99999 : " * 19 + "x"],
)  # fmt: skip
def test_a_formula_that_expands_to_more_than_memory_bears_is_refused_before_it_does(formula):
    with pytest.raises(mifit.StorageError, match="characters|terms"):
        parse(FileText(formula, {}))


# Files that eat memory or time, each read by a process that may not have much

LIMITED = """
import resource, sys, time
import mifit
resource.setrlimit(resource.RLIMIT_DATA, (900 << 20, 900 << 20))
for path in sys.argv[1:]:
    started = time.process_time()
    try:
        mifit.load(path)
    except mifit.StorageError as error:
        assert "MemoryError" not in str(error) and "allocate" not in str(error), error
        print("refused", end=" ")
    assert time.process_time() - started < 20, path
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process are those of Linux")
def test_small_files_take_neither_memory_nor_time(studies, tmp_path):
    document, arrays = studies["compatible"]
    files = {}
    for k, code in enumerate(EATS[:18]):
        for field in ("Plan.written", "Terms.formula"):
            files[f"{k}-{field}"] = repacked(crafted(document, field, code, False), arrays)
    for k, said in enumerate((
        {"is": "fraction", "of": "1e99999999"}, {"is": "fraction", "of": "9" * 6000},
        {"is": "float", "of": "9" * 10**6},
        {"is": "noun", "class": "Mask", "of": {"n": 10**12, "bits": {"is": "bytes", "of": "00"}}},
        [{}] * 3_000_000,
    )):  # fmt: skip
        files[f"said-{k}"] = repacked({**document, "said": said}, arrays)
    long = copy.deepcopy(document)
    for class_name, of, _ in nouns(long["plan"]):
        if class_name == "Wishes":
            of["derived"] = {
                "is": "dict",
                "of": [[f"d{k}", f"d{k - 1} + d{k - 1}" if k else "x + x"] for k in range(40)],
            }
    files["derived"] = repacked(long, arrays)
    chains = copy.deepcopy(document)
    for class_name, of, _ in nouns(chains["chains"]):
        if class_name == "Chain":
            of["sweeps"] = 10**9
    files["sweeps"] = repacked(chains, arrays)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert len(content) < 250_000
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, (tmp_path / name for name in files))], capture_output=True, text=True,
        timeout=600, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["refused"] * len(files)


# What save writes, load reads


def _saved(folder, formula, data=None, **words):
    """The bytes of a study of a formula."""
    data = frame().drop(columns="cigarettes") if data is None else data
    mifit.impute(data, formula, m=2, iterations=1, rng=1, **words).save(folder / "study.mifit")
    return (folder / "study.mifit").read_bytes()


def _comes_back(imp, folder, **words):
    """A study after a file goes on as if there had been none."""
    imp.save(folder / "study.mifit")
    back = mifit.load(folder / "study.mifit", **words)
    assert back.identity == imp.identity
    assert back.extend(m=1).identity == imp.extend(m=1).identity
    assert str(back.plan) == str(imp.plan)
    back.save(folder / "again.mifit")
    assert mifit.load(folder / "again.mifit", **words).identity == imp.identity


@pytest.mark.parametrize("codes", [(0.0, 1.0, 2.0), (10.0, 20.0, 30.0), (1.0, 2.0, 3.0), (0.5, 1.5, 2.5)])
@pytest.mark.parametrize("model", ["ordinal", "mnlogit"])
def test_a_numeric_outcome_with_levels_comes_back(codes, model, tmp_path):
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"o": rng.choice(codes, 120), "x": rng.normal(size=120), "s": np.tile(["f", "m"], 60)})
    data = data.mask(rng.random(data.shape) < [0.15, 0.15, 0.0])
    for words in ({}, {"congeniality": "terms"}, {"by": "s", "congeniality": "terms"}):
        formula = "o ~ x" if "by" in words else "o ~ x + s"
        _comes_back(mifit.impute(data, formula, model=model, m=2, iterations=1, rng=1, **words), tmp_path)


WORDS = {
    "conditional": {"conditional": {"cigarettes": "smoker == 'yes'"}},
    "condition of two": {"conditional": {"cigarettes": "(smoker == 'yes') & (w > 0)"}},
    "condition of a function": {"conditional": {"cigarettes": "(smoker == 'yes') & (half(w) > 0)"}},
    "ignore": {"ignore": "(w > 1.4) & (s == 'f')"},
    "ignore by a function": {"ignore": "half(w) > 0.7"},
    "by": {"by": "s"},
    "all at once": {
        "by": "s", "derived": {"r": "x * 2"}, "conditional": {"cigarettes": "smoker == 'yes'"}, "ignore": "w > 1.45",
    },
    "weights": {"weights": "w"},
    "bounds": {"bounds": {"x": (-9, 9)}},
    "predictors": {"predictors": {"x": "bs(w, df=3) + half(z)"}},
    "derived": {"derived": {"r": "half(x) + z", "q": "r * 2"}},
    "collapse": {"collapse": {"g": {"other": ["a", "b"]}}},
    "few": {"min_count": 30},
    "kinds": {"kinds": {"o": "ordinal"}},
    "levels": {"kinds": {"o": [0, 2, 1]}},
    "nominal": {"kinds": {"o": "nominal"}},
    "methods": {"methods": {"o": "norm", "x": mifit.PMM(donors=3)}},
    "where": {"where": {"x": np.arange(N) < 40}, "methods": {"y": "leave", "g": "leave", "o": "leave"}},
    "order": {"order": ["y", "x"]},
    "id": {"id": "site"},
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_what_save_writes_load_reads(name, tmp_path):
    rng = np.random.default_rng(4)
    words = WORDS[name]
    data = frame().assign(g=rng.choice(list("abc"), N), o=rng.integers(0, 3, N).astype(float))
    data[["g", "o"]] = data[["g", "o"]].mask(rng.random((N, 2)) < 0.15)
    data = data if "conditional" in words else data.drop(columns="cigarettes")
    _comes_back(mifit.impute(data, m=2, iterations=1, rng=1, **words), tmp_path, names={"half": half})


def third(v):
    return v / 3


TOLD = [
    "x + z", "x + half(z)", "x + third(half(z)) + half(w)", "x + nearby(z)", "x + I(math.sqrt(2) * z)",
    "x + I(int(2) * z)",
    "x + abs(z) + I(max(2, 3) * z)", "x + bs(z, knots=knots)", "x + np.digitize(z, bins=knots)", "x + expit(z)",
    "x + C(s, levels=['f', 'm'])", "x + te(cr(z, df=3), cr(w, df=3))", "x + I((s == 'f') & (z > 0))",
    "x + b * z",
    "x + np.select([z > 1, z > 0], [1, 2], 0)", "x + (z if True else w)", "x + I(w ** (1 / 3))", "x + Q('a b')",
    "x + scipy.special.expit(z)", "x + np.interp(z, [0, 1], [2, 3])", "half(x) + half(half(x))",
    "x + I(sum([1, 2]) * z)",
]  # fmt: skip
KEPT_BACK = [
    "x + st.norm.cdf(z)", "x + np.vectorize(half)(z)", "x + half(z, **{})", "x + pow(w, 2)",
    "x + np.max([z, w], axis=0)",
    "x + I(sorted([3, 2])[0] * z)", "x + np.array(z, dtype='f8')", "x + np.stack([z, w], 1)", "x + np.c_[z, w]",
    "st.norm.cdf(x) + z", "x + st.norm.cdf(Q('a b'))", "x + C(np.array(s, dtype='U9'))", "x + I({True: w}[True] + 1)",
    "x + bs(pow(w, 2), df=4)", "x + eval('w * 2')",
]  # fmt: skip


def wide():
    return frame().drop(columns="cigarettes").assign(**{"a b": lambda d: d["w"] ** 2, "b": lambda d: d["w"] > 1})


def called(told, scope):
    """What the call at the end of an error comes to, when it is pasted."""
    scope, (*before, last) = {**scope, "mifit": mifit}, told.split("; ")
    exec("\n".join(before), scope)
    return eval(last, scope)


@pytest.mark.parametrize("right", TOLD)
def test_save_works_or_load_says_which_names_to_pass(right, tmp_path):
    import math

    import scipy.special
    from scipy.special import expit

    knots, scope = [-0.5, 0.5], {"nearby": lambda v: v / 3, "half": half, "third": third}
    nearby = scope["nearby"]
    assert callable(nearby) and callable(expit) and math and knots and scipy
    imp = mifit.impute(wide(), f"y ~ {right}", m=2, iterations=1, rng=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.StorageWarning)
        imp.save(tmp_path / "study.mifit")
    try:
        back = mifit.load(tmp_path / "study.mifit")
    except mifit.StorageError as error:
        assert "names=" in error.do
        back = called(error.do, {"nearby": nearby})
    assert back.identity == imp.identity
    assert back.extend(m=1).identity == imp.extend(m=1).identity


@pytest.mark.parametrize("right", KEPT_BACK)
def test_save_refuses_what_no_load_would_read_and_the_advice_is_right(right, tmp_path):
    import scipy.stats as st

    if "eval" in right:
        right = right.replace("eval('w * 2')", "I(eval('2') * w)")
    imp = mifit.impute(wide(), f"y ~ {right}", m=2, iterations=1, rng=1)
    with pytest.raises(mifit.StorageError, match="cannot be kept in a file") as told:
        imp.save(tmp_path / "study.mifit")
    assert not (tmp_path / "study.mifit").exists()
    made, _, place = told.value.do.partition("   # and ")
    scope = {"st": st, "half": half, "np": np}
    exec(made, scope)
    new = scope["new"]
    code = next(
        code
        for factors in parse(f"y ~ {right}").factors
        for code in factors
        if str(told.value).startswith(f"a study with {code!r}")
    )
    formula = f"y ~ {right}".replace(code, place.removesuffix(" in its place"))
    formula = formula if "new(" in formula else f"y ~ x + {place.removesuffix(' in its place')}"
    same = mifit.impute(wide(), formula, m=2, iterations=1, rng=1)
    with pytest.warns(mifit.StorageWarning, match="does not hold new"):
        same.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit", names={"new": new})
    assert back.identity == same.identity
    for left, other in zip(back, imp, strict=True):
        pd.testing.assert_frame_equal(left, other)


@pytest.mark.parametrize(
    "words",
    [{"ignore": "np.max([z, w], axis=0) > 1.5"}, {"derived": {"r": "x * pow(w, 2)"}},
     {"conditional": {"cigarettes": "(smoker == 'yes') & (pow(w, 2) > 0)"}}, {"predictors": {"y": "x + pow(w, 2)"}}],
)  # fmt: skip
def test_save_refuses_what_no_load_would_read_in_any_word(words, tmp_path):
    imp = mifit.impute(frame(), m=2, iterations=1, rng=1, **words)
    with pytest.raises(mifit.StorageError, match="cannot be kept in a file") as told:
        imp.save(tmp_path / "study.mifit")
    assert told.value.do.startswith("new = lambda ")


@pytest.mark.parametrize("words", [
    {"re_formula": "~ z"}, {"re_formula": "~ half(z)"}, {"vc_formula": {"v": "0 + C(s)"}, "re_formula": "~ third(z)"},
])  # fmt: skip
def test_formulas_of_random_effects_call_functions_of_the_caller(words, tmp_path):
    data = frame().drop(columns="cigarettes")
    data["y"] = data["y"].fillna(0.0)
    imp = mifit.impute(data, "half(y) ~ x", m=2, iterations=1, rng=1, model="mixedlm", groups="site", **words)
    data = data.assign(h=half(data["z"]), t=third(data["z"]), y=half(data["y"]))
    plain = {**words, "re_formula": words["re_formula"].replace("half(z)", "h").replace("third(z)", "t")}
    same = mifit.impute(
        data,
        "y ~ x",
        m=2,
        iterations=1,
        rng=1,
        model="mixedlm",
        groups="site",
        methods={"h": "leave", "t": "leave"},
        **plain,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_allclose(imp.fit().params, same.fit().params, rtol=1e-6)
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit", names={"half": half, "third": third})
    assert back.extend(m=1).identity == imp.extend(m=1).identity
    document, arrays = parts_of((tmp_path / "study.mifit").read_bytes())
    (tmp_path / "study.mifit").write_bytes(repacked(document, arrays))
    assert called(_refusal(tmp_path / "study.mifit").do, {}).identity == imp.identity


def _refusal(path):
    with pytest.raises(mifit.StorageError) as told:
        mifit.load(path)
    return told.value


@pytest.mark.parametrize("path", [
    "pandas", "pandas:read_pickle", "patsy", "patsy:dmatrix", "statsmodels.formula.api:ols", "sympy:sympify",
    "builtins:eval", "builtins:exec", "builtins:getattr", "os:system", "subprocess:run", "os; os.system('x') #:f",
    "__import__('os').system('x')", "posix:system", "importlib:import_module", "pickle:loads", "x:y[0]",
])  # fmt: skip
def test_no_error_advises_to_pass_what_does_harm(path, tmp_path):
    document, arrays = parts_of(_saved(tmp_path, "y ~ x + half(z)"))
    (tmp_path / "study.mifit").write_bytes(
        repacked(json.loads(json.dumps(document).replace('"test_trust:half"', json.dumps(path))), arrays)
    )
    told = _refusal(tmp_path / "study.mifit")
    assert "may not call" in str(told) and "names=" not in told.do and "import" not in told.do


def test_groups_whose_plans_draw_different_columns_come_back(tmp_path):
    rng = np.random.default_rng(1)
    data = frame().drop(columns="cigarettes").assign(p=rng.normal(size=N), q=rng.normal(size=N))
    data[["p", "q"]] = data[["p", "q"]].mask(rng.random((N, 2)) < 0.2)
    imp = mifit.impute(data, "y ~ x * z", by="s", m=2, iterations=1, rng=1)
    _comes_back(imp, tmp_path)


def test_a_list_of_knots_and_a_constant_come_back(tmp_path):
    knots, level, many = [-0.5, 0.5], "f", 4
    assert len(knots) < many and level
    _comes_back(
        mifit.impute(
            frame().drop(columns="cigarettes"),
            "y ~ bs(x, knots=knots) + C(s, Treatment(reference=level)) + cr(z, df=many)", m=2, iterations=1, rng=1,
        ), tmp_path,
    )  # fmt: skip


def test_a_checkpoint_is_plain_data_and_code_in_one_is_refused_or_never_evaluated(tmp_path):
    data = frame().drop(columns="cigarettes")
    imp = mifit.impute(data, "y ~ x", m=2, iterations=1, rng=1, checkpoint=tmp_path / "chains")
    first = min((tmp_path / "chains").iterdir())
    document, arrays = parts_of(first.read_bytes())
    for kind in ("Condition", "Question"):
        noun = {"is": "noun", "class": kind, "of": {"code": RUNS[0], "variables": {}}}
        changed = copy.deepcopy(document)
        changed["chain"]["of"]["warm"] = {"is": "dict", "of": [["x", noun]]}
        first.write_bytes(repacked(changed, arrays))
        with pytest.warns(mifit.StorageWarning, match="is damaged: chain . is drawn again"):
            again = mifit.impute(data, "y ~ x", m=2, iterations=1, rng=1, checkpoint=tmp_path / "chains")
        assert again.identity == imp.identity
        assert parts_of(first.read_bytes())[0] == document


def test_a_formula_that_is_nested_too_deep_is_one_error():
    for inner in ("-" * 5000 + "x", "(" * 3000 + "x" + ")" * 3000, "(" * 90 + "-" * 4000 + "x" + ")" * 90):
        with pytest.raises(mifit.FormulaError):
            parse(f"y ~ I({inner})")
