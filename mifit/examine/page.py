"""A page of HTML that needs nothing from outside: its style, its sections, pictures inside it."""

from __future__ import annotations

import base64
import html
import importlib.util
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..display import STYLE, Markup

__all__ = ["Section", "page", "picture", "scrolled", "tiles"]


_DPI = 130


class Section(NamedTuple):
    """One chapter of a page."""

    title: str
    parts: Sequence[object]  #: markup as it is, other text as paragraphs


#: The frame of a report: one column, cards for figures, tables that scroll inside themselves on a narrow screen.
_STYLE = """
:root{--ink:#1d2430;--soft:#5b6675;--ground:#fbfaf8;--card:#fff;--line:#e3e0da;--accent:#0b6e99}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--ground:#14181e;--card:#1c222b;--line:#323b47;
--accent:#6cc4e8}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.6 system-ui,-apple-system,"Segoe UI",sans-serif}
main,header,footer{max-width:62rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:3rem}
.eyebrow{margin:0;color:var(--accent);font-size:.8rem;font-weight:600;letter-spacing:.09em;text-transform:uppercase}
h1{margin:.2rem 0 .3rem;font-size:clamp(1.6rem,5vw,2.4rem);line-height:1.15;letter-spacing:-.015em;
overflow-wrap:anywhere}
.lead{margin:0;color:var(--soft);font-size:1.05rem;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.75rem 0 1rem}
.tile{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:.8rem 1rem;min-width:0}
.tile b{display:block;font-size:1.5rem;line-height:1.2;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tile span{color:var(--soft);font-size:.85rem}
a{color:var(--accent)}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.5rem 0 0;font-size:.9rem}
nav a{text-decoration:none}nav a:hover{text-decoration:underline}
section{margin:2.6rem 0}
h2{margin:0 0 .6rem;font-size:1.3rem;letter-spacing:-.01em;border-bottom:1px solid var(--line);padding-bottom:.35rem}
h2 a{color:var(--soft);font-weight:400;text-decoration:none;margin-right:.5rem;font-variant-numeric:tabular-nums}
p{margin:.5rem 0;max-width:46rem;overflow-wrap:anywhere}
code{font:.92em ui-monospace,"SF Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
.mifit.mifit{font:inherit;margin:.9rem 0;overflow:visible}
.mifit.mifit p{opacity:1}
.mifit.mifit table{font-size:.88rem;margin:0;width:100%}
.scroll{overflow-x:auto;margin:.9rem 0;border:1px solid var(--line);border-radius:.75rem;background:var(--card);
padding:.35rem 1rem}
.mifit .scroll:not(.stacked) td:first-child{white-space:nowrap}
.mifit.mifit tbody tr:last-child td{border-bottom:0}
.mifit.mifit .scroll:not(.stacked) .n+td:not(.n){padding-left:.4rem}
.mifit.mifit dl{margin:.6rem 0}
.mifit.mifit ul{font-size:.92rem}
figure{margin:1rem 0;background:#fff;border:1px solid var(--line);border-radius:.75rem;padding:.75rem;
break-inside:avoid}
figure div{overflow-x:auto}
figure img{display:block;max-width:100%;height:auto;margin:0 auto}
figcaption{color:#5b6675;font-size:.85rem;margin-top:.5rem}
.paper{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem 1.25rem}
.paper p{max-width:none}
.paper ol{padding-left:1.6rem;margin:.5rem 0 0;color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}
footer{color:var(--soft);font-size:.85rem;padding-bottom:3rem}
@media (max-width:40rem){
figure.wide img{max-width:none}
body{font-size:15px}.mifit.mifit .bar{width:3em}header{padding-top:1.75rem}
.mifit.mifit dl{grid-template-columns:1fr;gap:0}.mifit.mifit dd{margin-bottom:.4rem}
.mifit.mifit .stacked thead{display:none}
.mifit.mifit .stacked tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}
.mifit.mifit .stacked tr:last-child{border:0}
.mifit.mifit .stacked td{display:grid;grid-template-columns:6.5rem 1fr;gap:.6rem;border:0!important;padding:.1rem 0;
text-align:left!important;white-space:normal!important}
.mifit.mifit .stacked td:empty{display:none}.mifit.mifit .stacked .chip{justify-self:start}
.mifit.mifit .stacked td:first-child{display:block;font-weight:600;font-size:1.05em}
.mifit.mifit .stacked td:first-child::before{display:none}
.mifit.mifit .stacked td::before{content:attr(data-label);opacity:.6}}
@media print{
:root{--ink:#000;--soft:#444;--ground:#fff;--card:#fff;--line:#bbb;--accent:#0b6e99}
body{font-size:10.5pt}nav{display:none}section{margin:1.4rem 0}header{padding-top:0}
.tiles{grid-template-columns:repeat(5,1fr)}.tile b{font-size:1.15rem}
details::details-content{content-visibility:visible;height:auto}
.scroll{overflow:visible;padding:0 .4rem;break-inside:avoid}.mifit.mifit table{font-size:8.5pt}
tr,.tile,.paper{break-inside:avoid}h2{break-after:avoid}@page{margin:16mm 14mm}}
"""


def page(title: str, lead: str, ahead: Sequence[object], sections: Sequence[Section], foot: str) -> str:
    """Return a whole page.

    Parameters
    ----------
    title, lead, foot : str
        Plain text; escaped here.
    ahead : sequence
        What stands before the first section.
    sections : sequence of Section
        Numbered in their order.

    Returns
    -------
    str
        HTML that loads nothing.
    """
    numbered = list(enumerate(sections, start=1))
    links = "".join(f'<a href="#s{number}">{number}&ensp;{_escaped(one.title)}</a>' for number, one in numbered)
    body = "\n".join(
        f'<section id="s{number}"><h2><a href="#s{number}">{number}</a>{_escaped(one.title)}</h2>'
        f'<div class="mifit">{_joined(one.parts)}</div></section>'
        for number, one in numbered
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="mifit">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{_escaped(title)}</title>\n<style>{STYLE}{_STYLE}</style>\n</head>\n<body>\n"
        f'<header><p class="eyebrow">Multiple imputation</p><h1>{_escaped(title)}</h1>'
        f'<p class="lead">{_escaped(lead)}</p>{_joined(ahead)}<nav>{links}</nav></header>\n'
        f"<main>\n{body}\n</main>\n<footer><p>{_escaped(foot)}</p></footer>\n</body>\n</html>\n"
    )


def _escaped(text: object) -> str:
    return html.escape(str(text))


def _joined(parts: Sequence[object]) -> str:
    """Markup as it is, other text as paragraphs, nothing for nothing."""
    return "".join(str(part) if isinstance(part, Markup) else f"<p>{_escaped(part)}</p>" for part in parts if part)


def tiles(pairs: Sequence[tuple[object, object]]) -> Markup:
    """Return a row of figures, each with what it counts."""
    inner = "".join(f'<div class="tile"><b>{_escaped(n)}</b><span>{_escaped(what)}</span></div>' for n, what in pairs)
    return Markup(f'<div class="tiles">{inner}</div>')


def scrolled(table: Markup, stacked: bool = False) -> Markup:
    """Return a table in a card of its own; on a narrow screen it scrolls there, or its rows become lists."""
    return Markup(f'<div class="scroll{" stacked" if stacked else ""}">{table}</div>')


def picture(draw: Callable[[], Any], caption: str, panels: bool = False) -> Markup:
    """Return what matplotlib draws as a picture inside the page; a sentence where it is not installed.

    Parameters
    ----------
    draw : callable
        Returns Axes or a Figure.
    caption : str
        Also read aloud in place of the picture.
    panels : bool, default False
        Many small pictures in one: on a phone they are scrolled rather than shrunk.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return Markup(f"<p><i>{_escaped(caption)}</i> (not drawn: <code>pip install matplotlib</code>)</p>")
    drawn = draw()
    figure = drawn if hasattr(drawn, "savefig") else drawn.figure
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    coded, text = base64.b64encode(held.getvalue()).decode("ascii"), _escaped(caption)
    inches = figure.get_size_inches()[0]
    image = f'<img alt="{text}" style="width:{96 * inches:.0f}px" src="data:image/png;base64,{coded}">'
    wide = ' class="wide"' if panels else ""
    return Markup(f"<figure{wide}><div>{image}</div><figcaption>{text}</figcaption></figure>")
