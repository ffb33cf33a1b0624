"""Numbers that are kept as text, and texts and numbers that stand for a missing value: what they are and what to do."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np

from ..calls import Advice
from ..errors import call, listed
from ..typing import Array

__all__ = ["MISSING", "Spelled", "codes_of_missing", "spelled", "words_of_missing"]

#: texts that stand for a missing value, in small letters
MISSING = frozenset(
    ("na", "n/a", "#n/a", "n.a.", "nan", "null", "<na>", "", ".", "-", "--", "?", "missing", "k.a.", "n.d.", "nd")
)
_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")  # 24,9
_POINTS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+,\d+")  # 1.234,5
_COMMAS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")  # 1,234.5
_LIMIT = re.compile(r"([<>\u2264\u2265])\s*=?\s*(\S+)")  # <0.3: all that is known is a limit
_UNIT = re.compile(
    r"([$\u20ac\u00a3\u00a5]?)\s*([-+]?[\d.,]*\d[\d.,]*)\s*([%\u2030$\u20ac\u00a3\u00a5]|[^\W\d_][^\d\s,.]{0,7})?"
)
_MOST_OTHER = 0.2  # share of texts that may be no number in a column of numbers
_CODE = re.compile(r"(9+|8+|7+|[789]*9[789]*)(\.[0789])?")


class Spelled(NamedTuple):
    """How a column of text spells its numbers."""

    how: str  #: a few words
    lost: tuple[str, ...]  #: texts that are no numbers
    odd: bool  #: whether the texts are more than plain numbers
    number: str  #: code with ``{}`` for the column
    limits: tuple[str, ...] = ()  #: texts that are a limit: ``"<0.3"``

    def line(self, name: Hashable) -> str | Advice:
        """The line that makes a column of numbers; of limits it makes columns, and the values are drawn within them."""
        made = f"df[{name!r}] = {self.number.format(f'df[{name!r}]')}"
        ends: list[str | None] = [None, None]
        for place, (signs, word) in enumerate(((">\u2265", "low"), ("<\u2264", "high"))):
            if any(limit[0] in signs for limit in self.limits):
                ends[place] = f"{name}_{word}"
                own = f"df[{name!r}].astype(str).str.extract(r'^\\s*[{signs}]\\s*=?(.*)$')[0].str.strip()"
                made = f"df[{ends[place]!r}] = {self.number.format(own)}; {made}"
        return call("df.mice.impute", censored={name: tuple(ends)}).after(f"{made}; ") if self.limits else made

    def said(self, name: Hashable) -> str:
        """What the column is, in one sentence."""
        if self.limits:
            lost = f"; {listed(map(repr, self.lost))} is made missing" if self.lost else ""
            return f"{name!r} is numbers{self.how} and limits such as {self.limits[0]!r}, as text{lost}."
        beside = f" and {listed(map(repr, self.lost))}, which the call below makes missing" if self.lost else ""
        return f"{name!r} is text that looks like numbers{self.how}{beside}."


def spelled(values: Iterable[object]) -> Spelled | None:
    """Tell whether texts, or texts mixed with numbers, are numbers after all.

    Parameters
    ----------
    values : iterable
        The distinct values of a column.

    Returns
    -------
    Spelled or None
        None where they are not, or where there is no text among them.

    Examples
    --------
    >>> found = spelled(["24,9", "27,0", "31,5", "NA"])
    >>> found.lost, found.line("bmi")
    (('NA',), "df['bmi'] = pd.to_numeric(df['bmi'].astype(str).str.replace(',', '.'), errors='coerce')")
    """
    distinct = list(values)
    texts = [v.strip() for v in distinct if isinstance(v, str)]
    limits = tuple(t for t in texts if (found := _LIMIT.fullmatch(t)) and _is_written_number(found[2]))
    texts = [t for t in texts if t not in limits] + [_LIMIT.fullmatch(t)[2] for t in limits]  # type: ignore[index]
    others = [v for v in distinct if not isinstance(v, str)]
    beside = "" if limits or others else _beside_numbers(texts)
    if beside:
        texts = [t.replace(beside, "").strip() if _has_digit(t) else t for t in texts]
    if not texts or any(isinstance(v, bool) or not isinstance(v, int | float | np.number) for v in others):
        return None
    commas = [t for t in texts if _COMMA.fullmatch(t) or _POINTS.fullmatch(t)]
    grouped = [t for t in texts if _COMMAS.fullmatch(t)]
    points = any(_PLAIN.fullmatch(t) and "." in t for t in texts)
    known, number, how = [_PLAIN], "pd.to_numeric({}.astype(str), errors='coerce')", ""
    if (
        grouped
        and (len(grouped) > len([t for t in commas if not _COMMAS.fullmatch(t)]))
        and (points or any("." in t or t.count(",") > 1 for t in grouped))
    ):
        known, how = [_PLAIN, _COMMAS], " with commas between thousands"
        number = "pd.to_numeric({}.astype(str).str.replace(',', ''), errors='coerce')"
    elif commas:
        known, how = [_PLAIN, _COMMA, _POINTS], " with a decimal comma"
        number = "pd.to_numeric({}.astype(str).str.replace(',', '.'), errors='coerce')"
        if any(_POINTS.fullmatch(t) for t in texts):
            if any(_PLAIN.fullmatch(t) and "." in t for t in texts):
                return None  # a point that is both
            how += " and points between thousands"
            number = number.replace(".str.replace(',', '.')", ".str.replace('.', '').str.replace(',', '.')")
    if others:
        # Only what is text is respelled: a number among it is one already.
        steps = "".join(re.findall(r"\.replace\(.*?\)", number.replace(".str", "")))
        respelled = f"lambda v: v{steps} if isinstance(v, str) else v" if steps else ""
        number = f"pd.to_numeric({{}}.astype(object){f'.map({respelled})' if steps else ''}, errors='coerce')"
    if beside:
        how += f" with {beside!r}"
        number = number.replace(".astype(str)", f".astype(str).str.replace({beside!r}, '')", 1)
    lost = [t for t in texts if not any(one.fullmatch(t) for one in known)]
    many = len(texts) - len(lost) + len(others)
    unknown = [t for t in lost if t.lower() not in MISSING]
    if many < 3 or len(unknown) > _MOST_OTHER * many:
        return None
    decimals = any("." in t or "," in t for t in texts if t not in lost)
    odd = bool(
        commas
        or others
        or (how and (not beside or decimals or many > 10))
        or limits
        or (lost and (decimals or many > 10))
    )
    return Spelled(how, tuple(lost), odd, number, limits)


def _beside_numbers(texts: list[str]) -> str:
    """What stands beside every number: a unit, a currency, a sign for per cent; empty where it is none or differs."""
    found = {(one[1], one[3]) for t in texts if _has_digit(t) and (one := _UNIT.fullmatch(t))}
    alike = len(found) == 1 and all(_UNIT.fullmatch(t) for t in texts if _has_digit(t))
    before, behind = next(iter(found)) if alike else ("", "")
    return before or behind if not (before and behind) else ""


def _has_digit(text: str) -> bool:
    """Whether a text has a digit in it."""
    return any(letter.isdigit() for letter in text)


def _is_written_number(text: str) -> bool:
    """Whether a text is a number in one of the spellings."""
    return any(one.fullmatch(text) for one in (_PLAIN, _COMMA, _POINTS, _COMMAS))


def words_of_missing(levels: Iterable[object]) -> tuple[str, ...]:
    """Levels that may stand for a missing value: ``"NA"``, ``"n/a"``, ``""``.

    Examples
    --------
    >>> words_of_missing(["low", "high", "NA", "."])
    ('NA', '.')
    """
    return tuple(v for v in levels if isinstance(v, str) and v.strip().lower() in MISSING - {"-", "nd"})


def codes_of_missing(values: Array) -> dict[float, tuple[int, float]]:
    """Numbers that may stand for a missing value: -99, 999, far from all others.

    Parameters
    ----------
    values : ndarray, shape (n,)
        NaN where missing.

    Returns
    -------
    dict
        Number -> (how often it occurs, the value that comes next).

    Notes
    -----
    A number of nines, eights or sevens that is the least of all, negative while the others are not or lie further away
    than they lie apart; or the greatest of all, at least three times, further away than that, and not the next numbers.

    Examples
    --------
    >>> codes_of_missing(np.array([20.4, 31.0, -99.0, 27.5, -99.0]))
    {-99.0: (2, 20.4)}
    """
    support, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    found: dict[float, tuple[int, float]] = {}
    while len(support) > 1 and _is_code(support[0], counts[0], support[1:], below=True):
        found[float(support[0])] = (int(counts[0]), 0.0)
        support, counts = support[1:], counts[1:]
    while len(support) > 2 and _is_code(support[-1], counts[-1], support[:-1], below=False):
        found[float(support[-1])] = (int(counts[-1]), 0.0)
        support, counts = support[:-1], counts[:-1]
    ends = {True: float(support[0]), False: float(support[-1])} if len(support) else {}
    return {code: (count, ends[code < ends[True]]) for code, (count, _) in found.items()}


def _is_code(value: float, count: int, others: Array, below: bool) -> bool:
    """Whether the least or the greatest value looks like a code."""
    text = f"{abs(value):g}"
    if not _CODE.fullmatch(text) and not (below and value == -1):
        return False
    rest = others[[not _CODE.fullmatch(f"{abs(v):g}") or (below and v >= 0) for v in others]]
    if not len(rest) or (below and value >= 0):
        return False
    low, high, whole = float(rest.min()), float(rest.max()), bool(np.all(rest == np.rint(rest)))
    if below and low >= 0:
        return value < -1 or (whole and high > 1)
    if below:
        return bool(len(text) > 1 and count > 1 and low - value > high - low)
    if whole and float(np.min(others[others > high], initial=value)) - high <= 1:
        return False  # 7, 8 and 9 after 5 and 6 go on counting
    apart, width = value - high, max(high - low, 1.0)
    return bool(apart >= width and (count > 2 or apart > 5 * width) and (len(text) > 1 or (whole and count > 2)))
