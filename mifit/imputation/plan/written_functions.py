"""Functions of columns as expressions that a formula and ``derived=`` take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .copies_in_other_units import short

__all__ = ["cut_between", "levels_code", "product_code", "steps_code", "sum_code"]


def sum_code(terms: Sequence[tuple[str, float]], intercept: float) -> str:
    """A sum with coefficients.

    Examples
    --------
    >>> sum_code([("post", 1.0), ("pre", -1.0)], 0.0), sum_code([("a", 0.5), ("b", 0.25)], -2.0)
    ('post - pre', '0.5 * a + 0.25 * b - 2')
    >>> sum_code([("a", 1 / 3), ("b", 1 / 3), ("c", -1 / 3)], 0.0)
    '(a + b - c) / 3'
    """
    sizes = {abs(slope) for _, slope in terms}
    many = 1.0 / max(sizes)
    if len(sizes) == 1 and not intercept and many != 1.0 and abs(many - round(many)) < 1e-9:
        return f"({sum_code([(code, np.sign(slope)) for code, slope in terms], 0.0)}) / {round(many)}"
    ordered = sorted(terms, key=lambda term: term[1] < 0)
    text = ""
    for code, slope in ordered:
        size = code if abs(slope) == 1.0 else f"{short(abs(slope))} * {code}"
        sign = "-" if slope < 0 else "+"
        text += f" {sign} {size}" if text else size if slope > 0 else f"-{size}"
    return text if not intercept else f"{text} {'-' if intercept < 0 else '+'} {short(abs(intercept))}"


def product_code(factors: Sequence[tuple[str, float]], constant: float) -> str:
    """A product of powers with a constant.

    Examples
    --------
    >>> product_code([("wgt", 1.0), ("hgt", -2.0)], 10000.0), product_code([("x", 1.0), ("z", 1.0)], 1.0)
    ('10000 * wgt / hgt ** 2', 'x * z')
    """
    above = [_power(code, power) for code, power in factors if power > 0]
    below = [_power(code, -power) for code, power in factors if power < 0]
    if constant != 1.0 or not above:
        above.insert(0, short(constant))
    return " / ".join([" * ".join(above), *below])


def _power(code: str, power: float) -> str:
    """A power of a column."""
    return code if power == 1.0 else f"{code} ** {short(power)}"


def steps_code(code: str, below: Sequence[float], above: Sequence[float], values: Sequence[Any]) -> str:
    """A column that is constant between cuts of a number.

    Parameters
    ----------
    code : str
        Of the number.
    below, above : sequence of float
        Between which two values of the number each cut lies.
    values : sequence
        One more than cuts, from the lowest.

    Examples
    --------
    >>> steps_code("age", [64.8], [65.1], [0.0, 1.0]), steps_code("age", [64.0], [65.0], [1.0, 0.0])
    ('age > 65', 'age <= 64')
    >>> steps_code("x", [0.9, 1.9], [1.1, 2.2], ["low", "mid", "high"])
    "np.where(x > 2, 'high', np.where(x > 1, 'mid', 'low'))"
    """
    cuts = [cut_between(low, high) for low, high in zip(below, above, strict=True)]
    if set(map(_truth, values)) == {0, 1}:
        if len(cuts) == 1:
            return f"{code} {'>' if _truth(values[1]) else '<='} {short(cuts[0])}"
        inside = f"({code} > {short(cuts[0])}) & ({code} <= {short(cuts[1])})"
        return inside if _truth(values[1]) else f"({code} <= {short(cuts[0])}) | ({code} > {short(cuts[1])})"
    text = _value(values[0])
    for cut, value in zip(cuts, values[1:], strict=True):
        text = f"np.where({code} > {short(cut)}, {_value(value)}, {text})"
    return text


def cut_between(low: float, high: float) -> float:
    """The shortest number from ``low`` to below ``high``.

    Examples
    --------
    >>> cut_between(24.93, 25.04), cut_between(3.0, 4.0), cut_between(-0.31, 0.2)
    (25.0, 3.0, 0.0)
    """
    if low < 0.0 < high:
        return 0.0
    middle = low + 0.5 * (high - low)
    for digits in range(1, 17):
        for number in (middle, low, high):
            cut = float(f"{number:.{digits - 1}e}")
            if low <= cut < high:
                return cut
    return low


def levels_code(code: str, pairs: Sequence[tuple[Any, Any]]) -> str:
    """A column that follows from the level of another.

    Parameters
    ----------
    code : str
        Of the other column.
    pairs : sequence of tuple
        Each level and the value that goes with it.

    Examples
    --------
    >>> levels_code("g", [("a", 1.0), ("b", 0.0), ("c", 0.0)]), levels_code("k", [(1.0, 0.0), (2.0, 1.0), (3.0, 1.0)])
    ("g == 'a'", 'k >= 2')
    >>> levels_code("g", [("a", "low"), ("b", "high"), ("c", "high")])
    "np.where(g == 'a', 'low', 'high')"
    """
    values = dict.fromkeys(value for _, value in pairs)
    if set(map(_truth, values)) == {0, 1}:
        return _among(code, [level for level, _ in pairs], [level for level, value in pairs if _truth(value)])
    groups = {value: [level for level, one in pairs if one == value] for value in values}
    *first, last = sorted(groups, key=lambda value: len(groups[value]))
    text = _value(last)
    for value in reversed(first):
        text = f"np.where({_among(code, [level for level, _ in pairs], groups[value])}, {_value(value)}, {text})"
    return text


def _among(code: str, levels: Sequence[Any], some: Sequence[Any]) -> str:
    """Whether a column has one of some levels."""
    if len(some) == 1:
        return f"{code} == {_value(some[0])}"
    rest = [level for level in levels if level not in some]
    if all(isinstance(level, float) for level in levels):
        if min(some) > max(rest):
            return f"{code} >= {_value(min(some))}"
        if max(some) < min(rest):
            return f"{code} <= {_value(max(some))}"
    if len(rest) == 1:
        return f"{code} != {_value(rest[0])}"
    return f"np.isin({code}, [{', '.join(map(_value, some))}])"


def _truth(value: Any) -> Any:
    """0 or 1 for what is false or true, None for all else."""
    return int(value) if isinstance(value, bool | np.bool_) or value in (0.0, 1.0) else None


def _value(value: Any) -> str:
    """A value as code."""
    if isinstance(value, bool | np.bool_):
        return repr(bool(value))
    return short(value) if isinstance(value, float) else repr(value)
