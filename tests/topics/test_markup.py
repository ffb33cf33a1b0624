"""Names, levels, labels and formulas that are markup stay text wherever the package writes HTML, LaTeX or Markdown."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pickle
import pkgutil
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.display import harmless, latex, markdown, one_line

EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> \\input{x} ^^5cinput{y} | \\| `b` $m$ 50% a&b &lt;u&gt; "
    "_u_ __v__ \"q\" 's' {z} ~ ^ # *s* [c](javascript:alert(1)) \\\\ \r \u2028 \x85 -->"
)
X, G, Y = EVIL, f"{EVIL}\ng", f"y {EVIL}"
WAYS = ("_repr_html_", "_repr_latex_", "_repr_markdown_", "to_html", "to_latex", "to_markdown", "as_html", "as_latex")


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    made = pd.DataFrame(
        {Y: rng.normal(size=50), X: rng.normal(size=50), G: rng.choice([f"{EVIL}a", f"b{EVIL}"], 50)},
        index=[f"{EVIL}{k}" for k in range(50)],
    )
    made.index.name = EVIL
    made.iloc[:9, 1], made.iloc[5:12, 2] = np.nan, np.nan
    return made


def trial():
    """The analysis of a trial whose columns and arms have such names."""
    y = np.random.default_rng(2).normal(size=(20, 2)).ravel()
    y[3] = np.nan
    arm = np.repeat([f"{EVIL}a", f"{EVIL}b"], 20)
    long = pd.DataFrame({f"i{EVIL}": np.repeat(np.arange(20), 2), G: arm, X: np.tile([1, 2], 20), Y: y})
    sets = mifit.trial.impute(long, outcome=Y, visit=X, subject=f"i{EVIL}", arm=G, m=2, rng=1)
    return sets.ancova(variance=None)


@pytest.fixture(scope="module")
def made():
    """One of everything, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        df = frame()
        formula = f"Q({Y!r}) ~ Q({X!r}) + C(Q({G!r}))"
        imp = df.mice.impute(formula, m=3, rng=1, iterations=2)
        res, small = imp.fit(), imp.fit(f"Q({Y!r}) ~ Q({X!r})")
        elsewhere = mifit.from_frames(list(imp), original=df)
        nominal = df.assign(o=np.where(np.arange(50) % 3 == 0, f"{EVIL}a", np.where(np.arange(50) % 3 == 1, "b", "c")))
        levels = nominal.mice.impute(f"o ~ Q({X!r})", model="mnlogit", m=2, rng=1, iterations=1).fit()
        one = {
            "imp": imp, "plan": imp.plan, "res": res, "summary": res.summary(),
            "ratios": res.summary(exponentiate=True),
            "elsewhere": elsewhere, "elsewhere res": elsewhere.fit(formula),
            "certificate": imp.check(f"{formula} + Q({X!r}):C(Q({G!r}))"), "explanation": imp.explain(df.index[0], X),
            "alternatives": imp.alternatives(), "mapped": imp.map(lambda one: EVIL), "test": res.compare(small),
            "terms": res.wald_test_terms(), "anova": mifit.anova(small, res), "t test": res.t_test(np.eye(3)[1]),
            "prediction": res.get_prediction(df), "levels": levels.get_prediction(), "levels summary": levels.summary(),
            "wald": res.wald_test(np.eye(3)[1:]), "by": nominal.mice.plan(by="o"),
            "sensitivity": imp.sensitivity({X: [0, 1]}), "bootstrapped": imp.bootstrap(B=3), "trial": trial(),
            "missingness": df.mice.missingness(), "checked": imp.check_model(), "rehearsed": imp.rehearse(frames=2),
            "advice": mifit.advise("x -> y; x -> R_y", outcome="y", exposure="x"),
        }  # fmt: skip
    for name, table in [
        (f"{k} table {j}", t) for k in ("summary", "levels summary") for j, t in enumerate(one[k].tables)
    ]:
        one[name] = table
    one["t summary"] = one["t test"].summary()
    for name, part in list(one.items()):  # everything that is had from these without a word
        for attribute in dir(type(part)) if type(part).__module__.startswith("mifit") else ():
            kind = inspect.getattr_static(type(part), attribute)
            owner = next((one for one in type(part).mro() if attribute in vars(one)), object)
            if attribute[0] != "_" and owner.__module__.startswith("mifit") and isinstance(kind, property):
                with warnings.catch_warnings(), contextlib.suppress(mifit.MifitError):
                    warnings.simplefilter("ignore")
                    value = getattr(part, attribute, None)
                    if any(hasattr(value, way) for way in WAYS):
                        one[f"{name}.{attribute}"] = value
    return one


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.words += [name for name, _ in attrs]


#: every command that may stand in LaTeX that is written here
COMMANDS = {
    "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar", "textasciigrave",
    "textbf", "texttt", "begin", "end", "toprule", "midrule", "bottomrule", "hline", "item", "newline",
    "multicolumn", "caption",
    "%", "&", "$", "#", "_", "{", "}", "\\",
}  # fmt: skip


def check_html(text: str) -> None:
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "u"} & set(page.tags)
    assert not [word for word in page.words if word.startswith("on")]
    assert "&lt;u" not in text  # what looked escaped is text too


def check_latex(text: str) -> None:
    assert set(re.findall(r"\\([A-Za-z]+|.)", text, re.DOTALL)) <= COMMANDS
    assert "^^" not in text
    bare = re.sub(r"\\[A-Za-z]+|\\.", "", text, flags=re.DOTALL)
    assert not set(bare) & set("#~^") - ({"~"} if "~" not in EVIL else set())
    depth = 0
    for letter in bare:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    body = [line for line in text.splitlines() if line.rstrip().endswith(r"\\")]
    ends = [len(re.findall(r"(?<!\\)&", line.replace(r"\\", ""))) for line in body]
    if "tabular" in text and text.count(r"\begin{tabular}") == 1:
        assert len(set(ends)) == 1
    assert all(line.lstrip().startswith("%") for line in bare.splitlines() if "%" in line)


def check_markdown(text: str) -> None:
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert table and len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table}) == 1
    assert "<" not in text and "](" not in text and "`" not in re.sub(r"\\`", "", text)
    assert len(table) == len([line for line in text.splitlines() if "alert" in line and line.startswith("|")]) + sum(
        "alert" not in line for line in table
    )


CHECKS = {"html": check_html, "latex": check_latex, "markdown": check_markdown}


def test_nothing_that_shows_itself_makes_markup_of_names(made):
    seen, wrong = 0, []
    for name, one in made.items():
        for way in WAYS:
            form = way.strip("_").split("_")[-1]
            ours = type(one).__module__.startswith("mifit")
            pandas_own = not ours and isinstance(one, pd.DataFrame | pd.Series)
            if not hasattr(one, way) or (pandas_own and form != "html"):
                continue
            if way == "to_markdown" and isinstance(one, pd.DataFrame):
                pytest.importorskip("tabulate")
            if way == "to_latex" and isinstance(one, pd.DataFrame):
                pytest.importorskip("jinja2")
            text = getattr(one, way)()
            if text is None:
                continue
            try:
                CHECKS[form](text)
            except AssertionError as error:
                wrong.append(f"{name}.{way}(): {str(error)[:200]}")
            seen += 1
    assert not wrong, "\n".join(wrong)
    assert seen > 40


def test_everything_that_shows_itself_is_among_them(made):
    """A class that gets one of these ways fails here until one of it stands above."""
    found = set()
    for module in pkgutil.walk_packages(mifit.__path__, "mifit."):
        for one in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(one) and one.__module__ == module.name and any(way in vars(one) for way in WAYS):
                found.add(one)
    missing = {one.__name__ for one in found} - {kind.__name__ for value in made.values() for kind in type(value).mro()}
    assert len(found) > 8 and missing == set()


def test_the_report_and_the_methods_text_make_no_markup_of_names(made, tmp_path, monkeypatch):
    monkeypatch.setattr("mifit.examine.report.picture", lambda *_, **__: "")
    imp, res = made["imp"], made["res"]
    also = [made[k] for k in ("summary", "certificate", "explanation", "alternatives", "t summary")] + [EVIL, frame()]
    for results in (None, res):
        text = imp.report(tmp_path / "study.html", results, title=EVIL, also=also).read_text(encoding="utf-8")
        page = Page(text)
        assert not {"script", "img", "iframe", "u"} & set(page.tags)
        assert not [word for word in page.words if word.startswith("on")]
        check_latex(imp.methods_text(results, style="latex").replace("$m = 3$", ""))


def test_packages_that_escape_nothing_get_names_that_are_no_markup(made):
    for res in (made["res"], made["elsewhere res"]):
        names = [*res.__maketables_coef_table__.index, res.__maketables_depvar__]
        from mifit.results.tables import stargazer_data

        told = stargazer_data(res)
        names += [*told["cov_names"], told["dependent_variable"]]
        assert all(
            list(told[key].index) == list(told["cov_names"]) for key in ("cov_values", "p_values", "cov_std_err")
        )
        for name in names:
            assert not set(name) & set("<>\\\n\r") and "^^" not in name and Page(name).tags == []
    stargazer = pytest.importorskip("stargazer.stargazer")
    check_html(stargazer.Stargazer([made["res"]]).render_html().replace("&lt;u&gt;", ""))
    assert "\\input" not in stargazer.Stargazer([made["res"]]).render_latex()


def test_the_parser_of_these_tests_sees_what_is_wrong():
    for check, wrong in (
        (check_html, EVIL), (check_latex, r"\input{x}"), (check_latex, "a ^^5cinput b"), (check_latex, "a } b"),
        (check_latex, "50% of"), (check_markdown, "| a |\n|---|\n| b | c |"), (check_markdown, "| <b> |"),
        (check_markdown, "| [a](b) |"),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check(wrong)


def test_ordinary_names_are_written_as_ever():
    for name in ("C(g)[T.mid]", "x1:x2", "np.log(bili)", "I(x + 2)", "a_b", "Größe"):
        assert markdown(name) == name == harmless(name) == one_line(name)
        assert latex(name) == name.replace("_", r"\_")


def test_a_summary_is_statsmodels_own_and_pickles(made):
    from statsmodels.iolib.summary import Summary

    summary = made["summary"]
    assert isinstance(summary, Summary)
    again = pickle.loads(pickle.dumps(summary))
    for way in ("as_text", "as_html", "as_latex", "as_csv"):
        assert getattr(again, way)() == getattr(summary, way)()
