"""Files that were cut, changed or made to do harm: one kind of error, and nothing in them is run."""

import base64
import contextlib
import copy
import hashlib
import io
import json
import random
import struct
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.formula.functions import trusted
from mifit.formula.source import Reference
from mifit.storage import archive
from mifit.storage.safe_formula import check_code
from support.archives import parts_of, repacked
from support.mixed_kinds import mixed

TOUCHED = []  #: what a file managed to run


def touch(*_):
    TOUCHED.append(1)
    return 1.0


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Document and arrays of studies with groups, with cluster means, and with a complete column of levels."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("parts")
    n = 80
    frame = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": rng.choice(list("abc"), n)})
    frame = frame.assign(x=frame["x"].mask(rng.random(n) < 0.3), s=np.tile([1, 2], n // 2), k=np.arange(n) % 8)
    frame.columns = frame.columns.astype(object)  # every version of pandas writes them alike
    frame["g"] = frame["g"].astype(object)
    studies = {
        "by": {"by": "s"}, "levels": {"formula": "y ~ x"},
        "means": {
            "formula": "y ~ x", "model": "mixedlm", "groups": "k", "methods": {"g": "leave"}, "congeniality": "terms"
        },
    }  # fmt: skip
    found = {}
    for name, words in studies.items():
        frame.mice.impute(m=2, iterations=1, rng=1, **words).save(folder / name)
        found[name] = parts_of((folder / name).read_bytes())
    return frame, found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The bytes of a small study with formulas, functions and derived columns."""
    path = tmp_path_factory.mktemp("study") / "study.mifit"
    imp = mifit.impute(
        mixed(60), "y ~ x * z + np.log(c + 1) + g", derived={"twice": "2 * x"}, predictors={"x": "z + np.exp(z)"},
        m=2, iterations=2, rng=1, congeniality="terms",
    )  # fmt: skip
    imp.save(path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def nothing_is_run():
    TOUCHED.clear()
    yield
    assert TOUCHED == []


def refused(data, tmp_path, match=None):
    path = tmp_path / "hostile.mifit"
    path.write_bytes(data)
    with pytest.raises(mifit.StorageError, match=match):
        mifit.load(path)


def replaced(stored, old, new):
    """The document with a piece of text put in the place of another, wherever it stands."""
    return json.loads(json.dumps(stored).replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1]))


# Formulas


HOSTILE = (
    "__import__('os').system('touch hostile')", "eval('1')", "open('x', 'w')", "np.load(x)", "np.fromfile('x')",
    "x.__class__.__mro__", "np.ctypeslib.load_library('a', 'b')", "(lambda: 1)()", "[i for i in x]", "f'{x!r}'",
    "test_storage_hostile.touch(x)", "touch(x)", "x if touch() else z", "getattr(np, 'load')(x)", "exec('1')",
    "np.log(x, out=x)", "9**9**9 * x", "'a' * 10**9", "[0] * 10**9", "(9**999)**999 + x", "bs(x, df=10**8)",
    "np.vectorize(touch)(x)", "np.frompyfunc(touch, 1, 1)(x)", "Q(touch())", "np.add.reduce(x)", "x[touch()]",
    "1 << 10**9", "print(x)",
    "breakpoint()", "C(x, touch)", "center(x, *touch())", "(y := touch())", "np.log(**touch())", "globals()",
)  # fmt: skip


@pytest.mark.parametrize("code", HOSTILE)
def test_code_in_a_formula_is_refused_before_it_is_evaluated(code):
    with pytest.raises(mifit.StorageError):
        check_code(code, {"x", "z"}, {})


@pytest.mark.parametrize("name", ["eval", "exec", "open", "__import__", "print", "touch"])
def test_a_column_or_a_constant_does_not_make_a_function_of_its_name_callable(name):
    code = f"x + {name}('1')"
    for columns, names in (({"x", name}, {}), ({"x"}, {name: 1}), ({"x"}, {name: Reference("numpy")})):
        with pytest.raises(mifit.StorageError, match="Nothing of it was evaluated"):
            check_code(code, columns, names)
    check_code("x + exp(x)", {"x"}, {"exp": Reference("numpy:exp")})
    check_code(code, {"x"}, {name: touch})  # passed by the reader


def test_a_formula_among_the_keywords_is_read_too(tmp_path):
    frame = mixed(90).assign(site=np.arange(90) % 9)
    imp = mifit.impute(frame, "y ~ x", model="mixedlm", groups="site", re_formula="~ z", m=2, iterations=1, rng=1)
    imp.save(tmp_path / "study.mifit")
    mifit.load(tmp_path / "study.mifit")
    document, arrays = parts_of((tmp_path / "study.mifit").read_bytes())
    for code in ("~ touch(z)", "~ eval('touch(1)')", "open('x')"):
        refused(repacked(replaced(document, "~ z", code), arrays), tmp_path, "Nothing of it was evaluated")


@pytest.mark.parametrize(
    "code",
    ["x", "np.log(x + 1)", "bs(x, df=4, lower_bound=-9.5)", "I(x**2)", "Q('a b')", "C(z, Treatment(reference='a'))",
     "np.where(x > 0, x, -x)", "2 ** x", "x % 3 == 1", "(x > 1) & ~(z < 3)", "te(cr(x, df=3), cc(z, df=4))",
     "np.maximum(x, 0) / z", "cr(x, knots=[1, 2.5])", "-x", "np.sqrt(x) if True else z", "(x / 100)**2"],
)  # fmt: skip
def test_what_formulas_say_every_day_may_be_said(code):
    check_code(code, {"x", "z", "a b"}, {})


def test_only_functions_that_compute_are_followed_by_their_path():
    assert all(map(trusted, ("numpy", "numpy:exp", "scipy.special", "scipy.special:expit", "patsy.builtins:bs")))
    harmful = ("os:system", "numpy:load", "numpy.ctypeslib:load_library", "builtins:eval", "subprocess", "")
    for path in (*harmful, "test_storage_hostile:touch", "scipy.special:os", "numpy:linalg", "scipy.special.x:y"):
        assert not trusted(path), path


@pytest.mark.parametrize("code", ["np.load(c + 1)", "__import__('os').system('x')", "touch(c)", "open('x')"])
def test_a_changed_formula_is_refused_wherever_it_stands(study, tmp_path, code):
    document, arrays = parts_of(study)
    refused(repacked(replaced(document, "np.log(c + 1)", code), arrays), tmp_path, "Nothing of it was evaluated|parse")
    refused(repacked(replaced(document, "2 * x", code), arrays), tmp_path)
    refused(repacked(replaced(document, "np.exp(z)", code), arrays), tmp_path)


def names_in(stored):
    """Every place of the document where a name stands for code."""
    if isinstance(stored, dict):
        if stored.get("is") == "name":
            yield stored
        for value in stored.values():
            yield from names_in(value)
    elif isinstance(stored, list):
        for value in stored:
            yield from names_in(value)


@pytest.mark.parametrize("path", ["os:system", "test_storage_hostile:touch", "numpy:load", "nowhere.at.all:f", None])
def test_a_name_that_refers_to_any_module_is_refused(study, tmp_path, path):
    document, arrays = parts_of(study)
    found = list(names_in(document))
    assert found
    for one in found:
        one.update(of="elsewhere", path=path)
    refused(repacked(document, arrays), tmp_path, "'elsewhere'")


@pytest.mark.parametrize(
    "noun",
    ["os:System", "mifit.storage.plain:Packer", "mifit.impute.store:ColumnStore", "mifit.imputed:ImputedSet",
     "builtins:Exception", "mifit.impute.chain:Running", "Running", "Exception", "mifit.impute.plan:Nothing", 3],
)  # fmt: skip
def test_no_class_that_files_do_not_name_is_made(study, tmp_path, noun):
    document, arrays = parts_of(study)
    document["seed"]["class"] = noun
    refused(repacked(document, arrays), tmp_path)


@pytest.mark.parametrize("entropy", ["a seed", -1, 0.5, [1, "b"]])
def test_a_seed_that_is_none_is_refused(study, tmp_path, entropy):
    document, arrays = parts_of(study)
    document["seed"]["of"]["entropy"] = entropy
    refused(repacked(document, arrays), tmp_path)


# Files


def test_a_pickle_is_never_opened(study, tmp_path):
    class Bomb:
        def __reduce__(self):
            return touch, ()

    stream = io.BytesIO()
    np.save(stream, np.array([Bomb()], dtype=object), allow_pickle=True)
    document, arrays = parts_of(study)
    document["said"] = {"is": "array", "of": "7"}
    refused(repacked(document, {**arrays, "arrays/7.npy": stream.getvalue()}), tmp_path, "dtype")
    for kind in ("|O", "|V8", "O", "<f8, O", "object"):
        document["said"] = {"is": "array", "dtype": kind, "shape": [1], "of": base64.b64encode(bytes(8)).decode()}
        refused(repacked(document, arrays), tmp_path, "dtype")


@pytest.mark.parametrize("name", ["../evil.npy", "/etc/evil", "arrays/../../evil.npy", "C:\\evil", "arrays/1.pkl"])
def test_a_member_that_points_elsewhere_is_refused(study, tmp_path, name):
    refused(repacked(*parts_of(study), {name: b"x"}), tmp_path, "member")
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.mifit"]


def test_a_file_that_would_unpack_to_too_much_is_refused_unread(study, tmp_path, monkeypatch):
    document, arrays = parts_of(study)
    data = repacked(document, {**arrays, "arrays/9.npy": bytes(2**23)})
    monkeypatch.setattr(archive, "_MOST", 2**20)
    monkeypatch.setattr(zipfile.ZipFile, "read", touch)
    refused(data, tmp_path, "would unpack to")
    # A member that lies about its size is cut there, and does not match its sum.
    monkeypatch.undo()
    where = data.index(b"arrays/9.npy", data.index(b"PK\x01\x02"))
    short = data[: where - 22] + struct.pack("<I", 100) + data[where - 18 :]
    refused(short, tmp_path)


def test_an_array_that_claims_to_be_huge_is_refused_before_it_is_made(study, tmp_path):
    document, arrays = parts_of(study)
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    document["said"] = {"is": "array", "of": "9"}
    refused(repacked(document, {**arrays, "arrays/9.npy": stream.getvalue() + bytes(8)}), tmp_path, "not of its size")


def test_json_that_is_deep_infinite_or_doubled_is_refused(study, tmp_path):
    _, arrays = parts_of(study)
    for text in ('{"a":' * 100_000, "[" * 100_000, '{"frame": NaN}', '{"frame": 1, "frame": 2}', "9" * 5000, "\xff"):
        content = {**arrays, "document.json": text.encode("latin-1")}
        sums = {n: {"bytes": len(v), "sha256": hashlib.sha256(v).hexdigest()} for n, v in content.items()}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as parts:
            for name, value in content.items():
                parts.writestr(name, value)
            parts.writestr("manifest.json", json.dumps({"format": "mifit", "protocol": 2, "members": sums}))
        refused(stream.getvalue(), tmp_path)


# Mutations


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def flipped(data, rng):
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 30))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def spliced(data, rng):
    a, b, width = rng.randrange(len(data)), rng.randrange(len(data)), rng.randrange(200)
    return data[:a] + data[b : b + width] + data[a + rng.choice((0, width)) :]


def places(stored, above=()):
    """Every place in a document."""
    items = stored.items() if isinstance(stored, dict) else enumerate(stored) if isinstance(stored, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from places(value, (*above, key))


ODD = (
    None, True, -1, 0, 2**70, 1e308, "", "x", "\x00", [], {}, [[]], "os.system('x')", "touch(x)", {"is": "_noun"},
    {"is": "dict", "of": [[[], 1]]}, {"is": "name", "of": "touch", "path": "test_storage_hostile:touch"},
    {"is": "array", "of": "0"}, {"is": "NaT", "of": 0}, {"is": "name", "of": "np", "path": "numpy"},
    {"is": "float", "of": "nan"}, {"is": "tuple", "of": ["a", "b"]},
    {"is": "noun", "class": "Wishes", "of": {}},
)  # fmt: skip


def edited(document, arrays, rng):
    """A document with a few of its places changed, under checksums that are right."""
    changed = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 5))):
        where = rng.choice(list(places(changed)))
        inner = changed
        for key in where[:-1]:
            inner = inner[key]
        what, key = rng.random(), where[-1]
        if what < 0.2:
            del inner[key]
        elif what < 0.4 and isinstance(inner[key], str) and inner[key]:
            at = rng.randrange(len(inner[key]))
            inner[key] = inner[key][:at] + rng.choice("(.)_'x0 ~+*\x00é") + inner[key][at + rng.randrange(2) :]
        elif what < 0.5 and isinstance(inner[key], int | float) and not isinstance(inner[key], bool):
            inner[key] = inner[key] + rng.choice((-1, 1, 1000, 0.5))
        elif what < 0.6:
            other = changed
            for step in rng.choice(list(places(changed))):
                other = other[step]
            inner[key] = copy.deepcopy(other)
        else:
            inner[key] = copy.deepcopy(rng.choice(ODD))
    return repacked(changed, arrays)


def changed_arrays(document, arrays, rng):
    """One array with a few of its bytes changed, under checksums that are right."""
    name = rng.choice(sorted(arrays))
    return repacked(document, {**arrays, name: rng.choice((cut, flipped, spliced))(arrays[name], rng)})


def survive(data, path):
    """A file loads, or is refused; what loads can be used, or says by one of our errors why not."""
    path.write_bytes(data)
    try:
        imp = mifit.load(path)
    except mifit.StorageError:
        return "refused"
    imp.extend(m=1)
    return "loaded"


def fuzz(study, tmp_path, each):
    document, arrays = parts_of(study)
    rng, seen = random.Random(20261120), {"refused": 0, "loaded": 0}
    path = tmp_path / "mutated.mifit"
    for _ in range(each):
        for make in (cut, flipped, spliced):
            seen[survive(make(study, rng), path)] += 1
        seen[survive(edited(document, arrays, rng), path)] += 1
        seen[survive(edited(document, arrays, rng), path)] += 1
        if arrays:
            seen[survive(changed_arrays(document, arrays, rng), path)] += 1
    return seen


def test_a_few_hundred_mutated_files_are_refused_or_harmless(study, tmp_path):
    seen = fuzz(study, tmp_path, 60)
    assert seen["refused"] > 3 * seen["loaded"]


@pytest.mark.slow
def test_thousands_of_mutated_files_are_refused_or_harmless(study, tmp_path):
    seen = fuzz(study, tmp_path, 1500)
    assert seen["refused"] > 3 * seen["loaded"]


def test_every_single_byte_cut_from_the_end_is_noticed(study, tmp_path):
    for length in [*range(0, len(study), 997), *range(len(study) - 60, len(study))]:
        refused(study[:length], tmp_path)


# Files whose parts do not agree


def ranged(n, first=0):
    """A range as a file writes it: a few bytes, however long it is."""
    return {"is": "range", "of": [first, first + n, 1], "name": None}


def column(document, name):
    """The stored values of a column."""
    return document["frame"]["values"][document["frame"]["columns"]["of"]["of"]["of"].index(name)]


@pytest.mark.parametrize("n", [10**5, 10**9, 10**15])
@pytest.mark.parametrize("where", ["levels", "interval", "intervals", "index", "inside"])
def test_a_range_that_counts_to_more_than_there_are_rows_is_never_made(parts, tmp_path, n, where):
    document, arrays = copy.deepcopy(parts[1]["levels"])
    codes = base64.b64encode(np.zeros(80, dtype="<i8").tobytes()).decode()
    codes = {"is": "array", "dtype": "<i8", "shape": [80], "of": codes}
    flat = {"is": "flat", "of": {"is": "interval", "of": [ranged(n), ranged(n, 1)], "closed": "left"}, "name": None}
    category = {"is": "category", "of": codes, "levels": ranged(n), "ordered": False}
    multi = {"is": "multi", "levels": [ranged(n)], "codes": [codes], "names": [None]}
    if where == "index":
        document["frame"]["index"] = multi
    else:
        column(document, "g").clear()
        column(document, "g").update({
            "levels": category, "interval": flat["of"], "intervals": {**category, "levels": {**flat, "freq": None}},
            "inside": {**category, "levels": multi},
        }[where])  # fmt: skip
    started = time.perf_counter()
    refused(repacked(document, arrays), tmp_path, "it counts to more than")
    assert time.perf_counter() - started < 2


def test_levels_that_are_a_long_range_come_back(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y": rng.normal(size=30), "x": rng.normal(size=30)}).mask(rng.random((30, 2)) < 0.2)
    for n in (3, 10_000, 20_000):
        frame["g"] = pd.Categorical.from_codes(np.arange(30) % 3, categories=pd.RangeIndex(n))
        frame.index = pd.MultiIndex.from_arrays([pd.RangeIndex(30), np.arange(30) % 2])
        imp = frame.mice.impute(m=2, iterations=1, rng=1, methods={"g": "leave"})
        imp.save(tmp_path / "study.mifit")
        for one, other in zip(mifit.load(tmp_path / "study.mifit"), imp, strict=True):
            pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize("value", [
    {"is": "decimal", "of": "1e999999999"}, {"is": "period", "of": 5, "freq": "D"}, {"is": "tuple", "of": "abc"},
    10**400, {"is": "noun", "class": "Kind", "of": "numeric"}, {"is": "set", "of": []}, 2.5,
])  # fmt: skip
def test_a_column_that_its_model_cannot_describe_is_refused_with_the_file(parts, tmp_path, value):
    document, arrays = copy.deepcopy(parts[1]["levels"])
    column(document, "g").update({"is": "plain", "of": {"is": "objects", "shape": [80], "of": [value] * 80}})
    refused(repacked(document, arrays), tmp_path, "hostile.mifit.* is not usable: the plan gives 'g' a model of other")
    with pytest.raises(mifit.PlanError, match="the plan gives 'g' a model of other values"):
        mifit.impute(parts[0].assign(g=pd.Timestamp("2020")), parts[0].mice.plan("y ~ x"), m=2)


def test_a_plan_of_a_group_that_cannot_run_is_refused_with_the_file(parts, tmp_path):
    document, arrays = parts[1]["by"]
    for change in (
        lambda plan: plan["order"]["of"].__setitem__(0, "nothing"), lambda plan: plan["order"].update(of=[]),
        lambda plan: plan["variables"]["of"].clear(),
    ):  # fmt: skip
        changed = copy.deepcopy(document)
        change(changed["plan"]["of"]["groups"]["of"][1]["of"][1]["of"])
        refused(repacked(changed, arrays), tmp_path, "hostile.mifit")
    changed = copy.deepcopy(document)
    changed["chains"]["of"][0]["of"]["parts"]["of"].pop()
    refused(repacked(changed, arrays), tmp_path, "hostile.mifit")


def test_means_within_no_clusters_are_refused_with_the_file(parts, tmp_path):
    document, arrays = parts[1]["means"]
    text = json.dumps(document)
    assert '"mean"' in text
    for old in ('["x", "k"]', '["y", "k"]'):
        if old in text:
            refused(repacked(json.loads(text.replace(old, old.replace('"k"', '"no"'))), arrays), tmp_path, "hostile")


def test_a_study_with_a_group_that_lacks_no_value_comes_back(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60), "s": np.tile(["a", "b"], 30)})
    frame["x"] = frame["x"].mask((rng.random(60) < 0.3) & (frame["s"] == "a"))
    imp = frame.mice.impute(by="s", m=2, iterations=2, rng=1)
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")
    assert back.fingerprint == imp.fingerprint
    assert back.extend(m=1).fingerprint == imp.extend(m=1).fingerprint


@pytest.mark.parametrize("old, new", [("np.log(c + 1)", "np.load(c + 1)"), ('"numpy"', '"os"'), ("2 * x", "2 *")])
def test_every_refusal_names_the_file(study, tmp_path, old, new):
    document, arrays = parts_of(study)
    refused(repacked(json.loads(json.dumps(document).replace(old, new)), arrays), tmp_path, "hostile.mifit")


def everything(imp, frame):
    """Whatever one may ask of a loaded study; only errors of mifit are allowed."""
    hole = np.flatnonzero(frame["x"].isna())[0]
    for call in (
        lambda: imp.fit(), lambda: imp.fit("y ~ x"), lambda: imp.extend(m=1), lambda: imp.extend(iterations=1),
        lambda: imp.to_long(), lambda: imp.check(), lambda: imp.check_values(), lambda: imp.convergence(),
        lambda: imp.impute_new(frame.head(4)), lambda: imp.explain(hole, "x", position=True),
        lambda: imp.methods_text(), lambda: repr((imp, imp.plan, imp.events, imp.identity, imp._repr_html_())),
        lambda: list(imp), lambda: imp.save("again.mifit"), lambda: frame.mice.impute(imp.plan, m=2, rng=1),
    ):  # fmt: skip
        with warnings.catch_warnings(), contextlib.suppress(mifit.MifitError):
            warnings.simplefilter("ignore", mifit.MifitWarning)
            call()


def fuzz_verbs(parts, each):
    """Change the plans of studies at random; how many were refused."""
    rng, seen = random.Random(20261201), 0
    for name, (document, arrays) in parts[1].items():
        for _ in range(each):
            changed = copy.deepcopy(document)
            inner, where = changed, rng.choice([p for p in places(changed) if p[0] != "frame"])
            for key in where[:-1]:
                inner = inner[key]
            source = changed
            for step in rng.choice(list(places(changed))):
                source = source[step]
            inner[where[-1]] = copy.deepcopy(rng.choice([source, *ODD[:6]]))
            Path("mutated.mifit").write_bytes(repacked(changed, arrays))
            try:
                imp = mifit.load("mutated.mifit")
            except mifit.StorageError as error:
                assert "mutated.mifit" in str(error), name
                seen += 1
            else:
                everything(imp, parts[0])
    return seen


def test_changed_plans_are_refused_or_every_verb_bears_them(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fuzz_verbs(parts, 6) > 9


@pytest.mark.slow
def test_a_thousand_changed_plans_are_refused_or_every_verb_bears_them(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fuzz_verbs(parts, 350) > 500


def test_slopes_of_a_method_are_a_formula_and_only_compute(parts, tmp_path):
    frame = pd.DataFrame({"g": np.arange(60) // 5, "z": np.arange(60) % 7 / 2, "x": np.sin(np.arange(60.0))})
    frame.loc[::4, "x"] = np.nan
    given = mifit.Mixed(random="~ z")
    frame.mice.impute(clusters="g", methods={"x": given}, m=2, iterations=1, rng=1).save(tmp_path / "slopes")
    document, arrays = parts_of((tmp_path / "slopes").read_bytes())
    text = json.dumps(document)
    assert '"~ z"' in text
    for payload in ("~ __import__('os').getcwd()", "~ I(z.__class__)", "~ eval('z')"):
        refused(repacked(json.loads(text.replace('"~ z"', json.dumps(payload))), arrays), tmp_path, "hostile")
