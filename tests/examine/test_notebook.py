"""What a notebook shows: short, well-formed, escaped, readable on light and on dark ground."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from mifit.display import STYLE, Markup, bar, block, chip, facts, folded, notes, rows_of, table
from support.browser import browser

EVIL = "<script>alert(1)</script>"


def study() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({EVIL: rng.normal(size=60), "y": rng.normal(size=60), "g": rng.choice(["<i>", "b"], 60)})
    frame.loc[:9, EVIL], frame.loc[20:25, "g"] = np.nan, np.nan
    return frame


@pytest.fixture(scope="module")
def shown():
    """Everything that a notebook shows in a styled way."""
    formula = f"y ~ Q('{EVIL}') + g"
    imp = study().mice.impute(formula, m=3, rng=1, iterations=2)
    return {
        "plan": imp.plan,
        "imputed set": imp,
        "results": imp.fit(),
        "certificate": imp.check(f"{formula} + Q('{EVIL}'):g"),
        "alternatives": imp.alternatives(),
        "explanation": imp.explain(0, EVIL),
    }


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_everything_is_well_formed_and_escaped(shown):
    for what, one in shown.items():
        page = one._repr_html_()
        tags = Tags(page)
        assert tags.open == [] and "table" in tags.seen, what
        assert "<script" not in page and "<i>" not in page, what
    assert "&lt;i&gt;" in shown["plan"]._repr_html_() and "&lt;script&gt;" in shown["results"]._repr_html_()


def test_everything_is_short(shown):
    for what, one in shown.items():
        assert len(one._repr_html_()) - len(STYLE) < 6_000, what


def test_no_colour_but_that_of_the_ground_shines_through():
    """A fixed ink or ground would vanish on the other theme; the bar alone has a colour, which is seen on both."""
    assert re.findall(r"(?<![-\w])color:(?!inherit)", STYLE) == []
    grounds = re.findall(r"background:([^;}\"]+)", STYLE)
    assert {ground for ground in grounds if not ground.startswith("rgba(") and ground != "none"} == {"#d55e00"}


def test_a_certificate_is_a_dataframe_and_its_parts_are_plain(shown):
    found = shown["certificate"]
    assert isinstance(found, pd.DataFrame) and type(found[["verdict"]]) is pd.DataFrame
    assert type(found.loc[found["verdict"] == "absent"]) is pd.DataFrame
    assert "absent" in found._repr_html_() and 'class="chip poor"' in found._repr_html_()
    assert found._repr_html_().count("df.mice.impute(") == 1  # each cure once
    found = found.copy()
    assert found.drop(columns="do")._repr_html_().count("verdict") == 1


def test_it_can_be_read_on_both_grounds(shown, tmp_path):
    """Contrast of every text with what lies beneath it, WCAG 2: at least 4.5 (level AA)."""
    body = "".join(one._repr_html_() for one in shown.values())
    with browser() as session:
        for ink, ground in (("#000000", "#ffffff"), ("#d4d4d4", "#111111")):
            page = tmp_path / "page.html"
            page.write_text(f'<meta charset="utf-8"><body style="color:{ink};background:{ground}">{body}</body>')
            session.open(page, 900, 800)
            seen = session.run(CONTRASTS)
            assert len(seen) > 50
            assert [one for one in seen if one[0] < 4.5] == []
            assert session.console() == []


#: contrast of each text with the grounds laid over one another beneath it, opacity included
CONTRASTS = r"""
const parse = c => { const v = c.match(/[\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
const over = (top, low, a) => low.map((l, i) => a * top[i] + (1 - a) * l);
const light = c => { const s = c.map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * s[0] + .7152 * s[1] + .0722 * s[2]; };
return [...document.querySelectorAll('.mifit *')]
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.offsetParent)
  .map(e => {
    const up = []; for (let n = e; n; n = n.parentElement) up.unshift(n);
    let ground = [255, 255, 255], alpha = 1;
    for (const n of up) {
      const style = getComputedStyle(n), c = parse(style.backgroundColor);
      alpha *= Number(style.opacity); ground = over(c.slice(0, 3), ground, c[3] * alpha);
    }
    const ink = over(parse(getComputedStyle(e).color).slice(0, 3), ground, alpha);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => x - y);
    return [(b + .05) / (a + .05), e.tagName, e.textContent.slice(0, 40)];
  });
"""


def test_the_pieces_escape_what_is_not_markup():
    assert table(["<"], [["&", Markup("<b>x</b>")][:1]], labelled=True).count("&lt;") == 2
    assert "&amp;" in facts([("a", "&")]) and notes([]) == "" and facts([]) == "" and folded("t", Markup("")) == ""
    assert "<li>&lt;</li>" in notes(["<"]) and "good" in chip("exact") and "width:25%" in bar(0.25)
    assert block("<", "plain <", Markup("<hr>")).endswith("<h4>&lt;</h4><p>plain &lt;</p><hr></div>")
    assert rows_of("analysis   : y ~ x") == ("analysis", "y ~ x") and rows_of("no label") == ("", "no label")
