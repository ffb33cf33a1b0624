"""How things look in a notebook or a page: small tables in HTML that are readable on light and on dark ground."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence

__all__ = [
    "STYLE",
    "Markup",
    "bar",
    "block",
    "chip",
    "facts",
    "folded",
    "harmless",
    "latex",
    "markdown",
    "notes",
    "one_line",
    "rows_of",
    "table",
]

#: No colour is set but by alpha over the ground, so that one style serves light and dark. The class is doubled so that
#: it outweighs what Jupyter says of every table.
STYLE = (
    ".mifit.mifit{font:14px/1.45 system-ui,sans-serif;max-width:100%;overflow-x:auto;margin:.4em 0}"
    ".mifit.mifit h4{font-size:1.05em;font-weight:600;margin:0 0 .15em}.mifit.mifit p{margin:.15em 0 .5em;opacity:.75}"
    ".mifit.mifit table{border-collapse:collapse;border:0;margin:.5em 0;font-size:13px;color:inherit;background:none}"
    ".mifit.mifit th,.mifit.mifit td{text-align:left;vertical-align:top;padding:.28em .8em .28em 0;border:0;"
    "border-bottom:1px solid rgba(128,128,128,.25);background:none;color:inherit;white-space:normal}"
    ".mifit.mifit thead th{font-weight:600;opacity:.7;border-bottom:1px solid rgba(128,128,128,.6)}"
    ".mifit.mifit .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".mifit.mifit dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em .9em;margin:.3em 0}"
    ".mifit.mifit dt{opacity:.65;font-weight:400;white-space:nowrap;float:none;width:auto;margin:0}"
    ".mifit.mifit dd{margin:0;width:auto;overflow-wrap:anywhere}.mifit.mifit tbody tr{background:none}"
    ".mifit.mifit ul{margin:.3em 0;padding-left:1.2em;opacity:.85;font-size:13px}"
    ".mifit.mifit details{font-size:13px;opacity:.85}.mifit.mifit summary{cursor:pointer}"
    ".mifit.mifit .chip{padding:.05em .55em;border-radius:1em;white-space:nowrap;background:rgba(128,128,128,.22)}"
    ".mifit.mifit .good{background:rgba(0,158,115,.25)}.mifit.mifit .fair{background:rgba(230,159,0,.3)}"
    ".mifit.mifit .poor{background:rgba(213,94,0,.35)}"
    ".mifit.mifit .bar{display:inline-block;width:5em;height:.6em;border-radius:.3em;background:rgba(128,128,128,.22)}"
    ".mifit.mifit .bar i{display:block;height:100%;border-radius:.3em;background:#d55e00}"
)

#: verdict -> how good it is
_GRADES = {
    **dict.fromkeys(("exact", "same mean", "implied", "stable", "constant", "one sweep suffices"), "good"),
    **dict.fromkeys(("approximate", "too few sweeps", "too few chains"), "fair"),
    **dict.fromkeys(("absent", "drifts"), "poor"),
}


def one_line(text: object) -> str:
    r"""Return a text in one line that any file can hold: no breaks, no controls, half a character as its number.

    Examples
    --------
    >>> one_line("a\nb\x00")
    'a b '
    """
    said = re.sub(r"\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", str(text))
    return said.encode("utf-8", "backslashreplace").decode("utf-8")


_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip


def latex(text: object) -> str:
    r"""Return a text that LaTeX prints as it is.

    Examples
    --------
    >>> print(latex(r"\input{x} & y_1"))
    \textbackslash{}input\{x\} \& y\_1
    """
    return "".join(_LATEX.get(letter, letter) for letter in one_line(text))


def markdown(text: object) -> str:
    r"""Return a text that Markdown prints as it is, in a table too; underscores inside a word need no mark.

    Examples
    --------
    >>> print(markdown("x_1 | <b> _y_"))
    x_1 \| &lt;b&gt; \_y\_
    """
    said = html.escape(one_line(text).replace("\\", "\\\\"), quote=False)
    said = re.sub(r"([|*`$~])", r"\\\1", said)
    said = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", said)
    return re.sub(r"\]([(\[])", r"\]\\\1", said)


def harmless(text: object) -> str:
    r"""Return a name that is no markup in HTML and no command in LaTeX, for packages that escape nothing.

    Examples
    --------
    >>> print(harmless("I(x < 3)"), harmless("C(g)[T.a]"))
    I(x ‹ 3) C(g)[T.a]
    """
    signs = str.maketrans({"<": "\u2039", ">": "\u203a", "\\": "\u2216"})
    return one_line(text).translate(signs).replace("^^", "^ ^")


class Markup(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


def _inner(cell: object) -> str:
    """The HTML of one cell."""
    return cell if isinstance(cell, Markup) else html.escape(str(cell))


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], numbers: Collection[int] = (), labelled: bool = False
) -> Markup:
    """Return a table.

    Parameters
    ----------
    head : sequence, length c
    rows : iterable of sequences of length c
        Cells are escaped unless they are :class:`Markup`.
    numbers : collection of int
        Positions of the columns aligned to the right.
    labelled : bool, default False
        Whether every cell carries the head of its column, for a style that lists rows on a narrow screen.

    Returns
    -------
    Markup

    Examples
    --------
    >>> print(table(["a<b"], [["1"]], numbers=[0]))
    <table><thead><tr><th class="n">a&lt;b</th></tr></thead><tbody><tr><td class="n">1</td></tr></tbody></table>
    """

    def line(cells: Sequence[object], tag: str) -> str:
        marks = [' class="n"' if position in numbers else "" for position in range(len(cells))]
        if labelled and tag == "td":
            marks = [f'{mark} data-label="{html.escape(str(h))}"' for mark, h in zip(marks, head, strict=True)]
        return "".join(f"<{tag}{mark}>{_inner(c)}</{tag}>" for c, mark in zip(cells, marks, strict=True))

    body = "".join(f"<tr>{line(cells, 'td')}</tr>" for cells in rows)
    return Markup(f"<table><thead><tr>{line(head, 'th')}</tr></thead><tbody>{body}</tbody></table>")


def rows_of(text: str) -> tuple[str, str]:
    """Split ``label : text``, as printed tables have it, into a label and a text."""
    label, _, said = text.partition(" : ")
    return (label.strip(), said.strip()) if said else ("", label.strip())


def facts(pairs: Iterable[tuple[object, object]]) -> Markup:
    """Return labelled facts, one a line."""
    lines = "".join(f"<dt>{_inner(label)}</dt><dd>{_inner(text)}</dd>" for label, text in pairs)
    return Markup(f"<dl>{lines}</dl>" if lines else "")


def notes(texts: Iterable[object]) -> Markup:
    """Return a list of sentences; nothing for none."""
    lines = "".join(f"<li>{_inner(text)}</li>" for text in texts)
    return Markup(f"<ul>{lines}</ul>" if lines else "")


def chip(word: object) -> Markup:
    """Return a verdict on a ground that says how good it is."""
    return Markup(f'<span class="chip {_GRADES.get(str(word), "")}">{_inner(word)}</span>')


def folded(title: object, inner: Markup) -> Markup:
    """Return what is shown when its title is clicked; nothing for nothing."""
    return Markup(f"<details><summary>{_inner(title)}</summary>{inner}</details>" if inner else "")


def bar(share: float) -> Markup:
    """Return a share in [0, 1] as a small bar."""
    return Markup(f'<span class="bar"><i style="width:{100 * share:.0f}%"></i></span>')


def block(title: object, *parts: object) -> str:
    """Return one output of a notebook: a title and what follows; plain text becomes a paragraph."""
    inner = "".join(part if isinstance(part, Markup) else f"<p>{_inner(part)}</p>" for part in parts if part)
    return f'<style>{STYLE}</style><div class="mifit"><h4>{_inner(title)}</h4>{inner}</div>'
