"""What all pictures share: colours, axes without pyplot, panels, and names that fit."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Hashable, Sequence
from functools import partial
from io import BytesIO
from typing import Any

from ..display import one_line
from ..errors import MifitError

__all__ = ["GROUPS", "IMPUTED", "INK", "MUTED", "OBSERVED", "axes_of", "handle", "legend", "panels", "plain", "written"]

# Okabe, M. and Ito, K. (2008), Color Universal Design: told apart with every common colour blindness, and in grey.
OBSERVED = "#0072B2"  # what was seen: blue, in every picture
IMPUTED = "#D55E00"  # what was drawn: vermilion
GROUPS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # groups that are neither
INK = "#222222"
MUTED = "#999999"

#: fonts that have letters which matplotlib's own lacks, on the usual systems
_FALLBACK = (
    "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Noto Sans Arabic", "Noto Sans Hebrew",
    "Noto Sans Devanagari", "Noto Sans Thai", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Segoe UI Symbol",
    "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Arial Unicode MS", "WenQuanYi Zen Hei", "Noto Sans Symbols",
    "Noto Sans Symbols2", "Noto Emoji", "Droid Sans Fallback", "Unifont",
)  # fmt: skip
_FONT_SIZE = 8.0  # points of most letters
_NARROWEST = 4.8  # inches that a legend of three entries needs


def axes_of(ax: Any, width: float, height: float) -> Any:
    """The axes given, or new ones of some inches on a figure that pyplot does not manage."""
    _require_matplotlib()
    return ax if ax is not None else panels(1, 1, width, height)[1][0]


def panels(count: int, columns: int, width: float, height: float | Sequence[float]) -> tuple[Any, list[Any]]:
    """Make a figure of panels, row by row.

    Parameters
    ----------
    count : int
        How many panels.
    columns : int
        At most so many side by side.
    width : float
        Of each panel, in inches.
    height : float or sequence of float
        Of each row of panels, in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Shows itself in a notebook; ``savefig`` writes it.
    axes : list of Axes
        ``count`` of them.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(columns, count)
    rows = -(-count // columns)
    heights = [height] * rows if isinstance(height, int | float) else list(height)
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07)
    figure = Figure(figsize=(max(width * columns, _NARROWEST), sum(heights) + 0.3), layout=layout)
    grid = figure.subplots(rows, columns, squeeze=False, height_ratios=heights).ravel().tolist()
    for extra in grid[count:]:
        extra.remove()
    for name in ("draw", "get_tightbbox", "savefig"):
        setattr(figure, name, partial(_lettered, figure, name))
    for one in [figure, *grid[:count]]:
        one._repr_png_ = partial(_png, figure)  # a notebook shows it, without a backend
    return figure, grid[:count]


def plain(ax: Any, across: bool = True) -> Any:
    """Remove two spines and the tick marks; keep a faint grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(which="both", length=0, labelsize=_FONT_SIZE)
    ax.grid(axis="y" if across else "x", color=MUTED, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(_FONT_SIZE + 0.5)
    return ax


def written(name: Hashable, width: int = 30, lines: int = 3) -> str:
    """Return a name as a label: in lines where it is long, cut in the middle beyond those, never read as TeX.

    Examples
    --------
    >>> print(written("income_of_the_household_member", width=20))
    income_of_the_
    household_member
    """
    text = one_line(name)
    found = [""]
    for piece in re.findall(r"[^\s_.:,;/+*-]*[\s_.:,;/+*-]*", text):
        for part in [piece[j : j + width] for j in range(0, len(piece), width)]:
            if len((found[-1] + part).rstrip()) > width and found[-1]:
                found.append("")
            found[-1] += part
    if len(found) > lines:
        room = width * lines // 2 - 1
        return written(text[:room] + "…" + text[-room:], width, lines + 2)
    return "\n".join(line.rstrip() for line in found).replace("$", r"\$")


def handle(color: str, label: str, **style: Any) -> Any:
    """An entry of a legend: a line or, with ``marker=``, a mark."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, label=label, **{"linestyle": "none" if "marker" in style else "-", **style})


def legend(place: Any, handles: Sequence[Any], title: str | None = None, given: bool = False) -> None:
    """Put a legend on top of a figure, beside axes of our own, or where there is room in axes that were given."""
    labels = [one.get_label() for one in handles]
    labels = [f" {label}" if label.startswith("_") else label for label in labels]  # matplotlib hides a leading _
    words: dict[str, Any] = {
        "frameon": False,
        "fontsize": _FONT_SIZE,
        "title": title,
        "title_fontsize": _FONT_SIZE,
        "alignment": "left",
    }
    if hasattr(place, "add_subplot"):
        place.legend(handles, labels, loc="outside upper right", ncols=len(handles), **words)
    elif given:
        place.legend(handles, labels, loc="best", **{**words, "frameon": True, "framealpha": 0.8})
    else:
        place.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, **words)


def _require_matplotlib() -> None:
    """Say how to install what plots need."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MifitError("plots need matplotlib, which is not installed.", do="pip install 'mifit[plot]'") from error


def _lettered(figure: Any, name: str, *given: Any, **words: Any) -> Any:
    """A method of a figure that uses the installed fonts of every script, without warnings about other letters."""
    import matplotlib
    from matplotlib.text import Text

    usual = list(matplotlib.rcParams["font.family"])
    family = [*usual, *(font for font in _fonts() if font not in usual)]
    with warnings.catch_warnings(), matplotlib.rc_context({"font.family": family}):
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from|Matplotlib currently does not support")
        for text in figure.findobj(Text):
            if list(text.get_fontfamily()) == usual:
                text.set_fontfamily(family)
        return getattr(type(figure), name)(figure, *given, **words)


@functools.cache
def _fonts() -> tuple[str, ...]:
    """Installed fonts of other scripts; matplotlib would warn about each that is not installed."""
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return tuple(name for name in _FALLBACK if name in known)


def _png(figure: Any) -> bytes:
    """A figure as a picture, for notebooks."""
    target = BytesIO()
    figure.savefig(target, format="png", dpi=110)
    return target.getvalue()
