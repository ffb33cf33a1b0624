"""The report: one file that loads nothing, says what must be said, and looks right in a real browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit
from support.browser import browser as real_browser

EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def browser():
    with real_browser() as session:
        yield session


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A report on eight columns, with all that can stand in it."""
    imp = mifit.datasets.load("pbc").mice.impute(
        "albumin ~ age + np.log(bili) * hepato + chol", m=5, rng=1, iterations=5
    )
    res = imp.fit()
    path = tmp_path_factory.mktemp("report") / "study.html"
    return imp, res, imp.report(path, res, also=[imp.explain(312, "hepato")])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report in which names, levels, formula and title are markup."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {EVIL: rng.normal(size=40), "g": rng.choice(["<b>a</b>", "b&c"], 40), "y": rng.normal(size=40)}
    )
    frame.loc[:9, EVIL], frame.loc[5:12, "g"] = np.nan, np.nan
    imp = frame.mice.impute(f"y ~ Q('{EVIL}') + g", m=3, rng=1, iterations=2)
    path = tmp_path_factory.mktemp("report") / "hostile.html"
    return imp.report(str(path), imp.fit(), title=f"A {EVIL}", also=[f"note {EVIL}", frame.head(2)])


class Page(HTMLParser):
    """Tags that are open, addresses that are loaded, ids and links."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.loaded, self.ids, self.links, self.tags = [], [], set(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        words = dict(attrs)
        self.tags.append(tag)
        self.loaded += [words["src"]] if "src" in words else []
        self.loaded += [words["href"]] if tag == "link" else []
        self.ids |= {words["id"]} if "id" in words else set()
        self.links |= {words["href"]} if tag == "a" else set()
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_it_holds_everything_one_must_be_able_to_say(study):
    imp, res, path = study
    text = path.read_text(encoding="utf-8")
    titles = re.findall(r"<h2><a[^>]*>\d+</a>(.*?)</h2>", text)
    assert titles == [
        "What was missing", "Who has missing values?", "The plan", "How each variable was drawn, and why",
        "Are the imputed values possible?", "Convergence", "Do the models fit the observed values?",
        "Do imputations and analysis agree?", "The pooled analysis", "Are there enough imputations?", "Sensitivity",
        "Further", "Software and seed", "Methods paragraph",
    ]  # fmt: skip
    for name in imp.plan.order:
        assert f'<td data-label="column">{name}</td>' in text
    words = (imp.identity, "Methods", "statsmodels", str(res.recommend_m()), res.congeniality.word, "hepato in row 312")
    for word in words:
        assert word in text
    for name, value in res.params.items():
        assert f"<td>{name}</td>" in text and (f"{value:.4f}" in text or f"{value:.4g}" in text)


def test_it_loads_nothing_and_is_well_formed(study, hostile):
    for path in (study[2], hostile):
        page = Page(path.read_text(encoding="utf-8"))
        assert page.open == []
        assert all(one.startswith("data:") for one in page.loaded)
        assert not {"script", "iframe", "object", "embed"} & set(page.tags)
        assert "@import" not in path.read_text() and "url(" not in path.read_text()
        assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids


def test_what_comes_from_the_data_is_escaped(hostile):
    text = hostile.read_text(encoding="utf-8")
    assert "<script" not in text.lower() and "<b>a</b>" not in text
    assert "&lt;script&gt;" in text and "b&amp;c" in text


def test_the_same_call_writes_the_same_bytes(study, tmp_path):
    imp, res, path = study
    again = imp.report(tmp_path / "again.html", res, also=[imp.explain(312, "hepato")])
    assert again.read_bytes() == path.read_bytes()


def test_without_results_it_says_how_to_add_them(tmp_path):
    imp = mifit.datasets.load("nhanes2").mice.impute(m=2, rng=1, iterations=1)
    text = imp.report(tmp_path / "study.html").read_text(encoding="utf-8")
    assert "imp.report(path, imp.fit())" in text and "no analysis declared" in text


def test_every_kind_of_imputation_has_a_report(tmp_path):
    nhanes = mifit.datasets.load("nhanes2")
    whole = nhanes.dropna().mice.impute("chl ~ bmi", m=2, rng=1)
    assert "No value was missing" in whole.report(tmp_path / "a.html", whole.fit()).read_text(encoding="utf-8")
    filled = [nhanes.fillna({"bmi": value})[["age", "bmi"]] for value in (20.0, 30.0)]
    elsewhere = mifit.from_frames(filled, original=nhanes[["age", "bmi"]])
    text = elsewhere.report(tmp_path / "b.html", elsewhere.fit("bmi ~ age")).read_text(encoding="utf-8")
    assert "made elsewhere" in text
    pooled = mifit.pool([smf.ols("bmi ~ age", one).fit() for one in elsewhere])
    assert "no analysis to compare with" in elsewhere.report(tmp_path / "d.html", pooled).read_text(encoding="utf-8")
    terms = nhanes.mice.impute("hyp ~ bmi", m=3, rng=1, congeniality="terms", iterations=1)
    assert "approximate" in terms.report(tmp_path / "c.html", terms.fit(cov_type="HC1")).read_text(encoding="utf-8")


def test_many_columns_do_not_drown_it(tmp_path):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(80, 60)), columns=[f"v{i}" for i in range(60)])
    frame = frame.mask(rng.random(frame.shape) < 0.05)
    text = frame.mice.impute(m=2, rng=1, iterations=1).report(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "and 20 more" in text


def test_a_file_that_cannot_be_written_is_refused_with_the_call(tmp_path):
    imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ bmi", m=2, rng=1, iterations=1)
    for path, fact in (
        (tmp_path, "is a directory"),
        (tmp_path / "no" / "a.html", "there is no directory"),
        (3, "file"),
    ):
        with pytest.raises(mifit.PlanError, match=fact) as caught:
            imp.report(path)
        assert caught.value.do.startswith("imp.report(")


WIDTHS = {"phone": (390, 844), "desktop": (1280, 800)}
COLOURS = "const seen = getComputedStyle(document.body); return [seen.color, seen.backgroundColor]"
TOO_WIDE = """return [...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.scroll table, .scroll .mifit, figure.wide img'))
    .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
    .map(e => e.tagName + ' ' + e.textContent.slice(0, 30))"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
def test_it_fits_a_phone_and_a_desktop_without_a_word_on_the_console(study, hostile, browser, device, dark):
    for path in (study[2], hostile):
        browser.open(path, *WIDTHS[device], dark=dark)
        wide, seen = browser.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide == seen == WIDTHS[device][0]
        assert browser.run(TOO_WIDE) == []
        assert browser.console() == []
        assert browser.run("return performance.getEntriesByType('resource').map(e => e.name)") == []


def test_text_stands_out_from_its_ground_in_light_and_dark(study, browser):
    """Contrast of body text as WCAG 2 reckons it: at least 7 (level AAA)."""
    for dark in (False, True):
        browser.open(study[2], 1280, 800, dark=dark)
        ink, ground = (numbers(value) for value in browser.run(COLOURS))
        assert contrast(ink, ground) >= 7
        assert (np.mean(ground) < 128) == dark


def numbers(colour: str) -> list[int]:
    """The red, green and blue of ``rgb(1, 2, 3)``."""
    return [int(number) for number in re.findall(r"\d+", colour)]


def contrast(ink, ground) -> float:
    """Ratio of relative luminances."""

    def luminance(colour):
        share = np.asarray(colour[:3]) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(ink), luminance(ground)])
    return (high + 0.05) / (low + 0.05)


def test_pictures_inside_it_are_shown(study, browser):
    browser.open(study[2], 1280, 800)
    broken = browser.run("return [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length")
    assert broken == 0


def test_it_prints(study, browser):
    browser.open(study[2], 1280, 800)
    printed = browser.printed()
    assert printed.startswith(b"%PDF-") and printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 2


def test_a_browser_that_is_not_there_skips_or_fails_as_told(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("MIFIT_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception), real_browser():
        pass
    monkeypatch.setenv("MIFIT_BROWSER", "required")
    with pytest.raises(pytest.fail.Exception), real_browser():
        pass


def test_the_parser_of_these_tests_sees_what_is_wrong():
    page = Page('<p><img src="http://a/b.png"></p><script></script>')
    assert page.loaded == ["http://a/b.png"] and "script" in page.tags
    with pytest.raises(AssertionError):
        Page("<p><b></p>")
