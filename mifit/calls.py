"""Calls that messages advise: text that knows its parts, so that all else that a user asked for can join it."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Hashable, Mapping
from typing import Any

__all__ = ["Advice", "Code", "Correction", "call", "coded", "left_alone", "with_request", "written"]


class Code(str):
    """Code that stands in a call as it is."""

    __slots__ = ()


#: words of ``impute`` in the order of a printed call; between model and these stand the keywords of the model
_ORDER = (
    "methods", "predictors", "auxiliary", "congeniality", "order", "iterations", "id", "link", "derived", "kinds",
    "bounds", "conditional", "where", "ignore", "by", "weights", "weights_as", "collapse", "min_count", "clusters",
    "censored", "truncated", "error_law", "m", "rng", "random_state", "n_jobs", "progress", "checkpoint",
)  # fmt: skip
_IMPUTE = re.compile(r"\.mice\.(impute|plan)$")


class Advice(str):
    """An advised call: text that knows its parts, so that all else that the user asked for can join it.

    Made by :func:`call`. Functions that raise errors know only the option to change; the other options of the call are
    added later.
    """

    verb: str
    formula: Any  #: one, several, or None: that of the request
    words: Mapping[str, Any]  #: word -> code, or column -> code where it is a mapping; None for what must not be there
    before: str  #: what is run first
    behind: str
    instead: str  #: the formula of the request that the formula replaces
    whole: bool  #: whether it says all that was asked

    def __new__(
        cls, verb: str, formula: Any, words: Mapping[str, Any], before: str = "", behind: str = "", instead: str = "",
        whole: bool = False,
    ) -> Advice:  # fmt: skip
        """Render the parts."""
        parts = [] if formula is None else [written(formula)]
        parts += [f"{word}={_of_word(words[word])}" for word in sorted(words, key=_place) if _stays(words[word])]
        made = super().__new__(cls, f"{before}{verb}({', '.join(parts)}){behind}")
        made.verb, made.formula, made.words = verb, formula, dict(words)
        made.before, made.behind, made.instead, made.whole = before, behind, instead, whole
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return Advice, self._parts()

    def _parts(self, **changes: Any) -> tuple[Any, ...]:
        """Return what it is made of, some of it changed."""
        names = ("verb", "formula", "words", "before", "behind", "instead", "whole")
        return tuple(changes.get(name, getattr(self, name)) for name in names)

    def after(self, code: str) -> Advice:
        """Return the call with code that is run before it: ``"df['x'] = ...; "``."""
        return Advice(*self._parts(before=code + self.before))

    def then(self, text: str) -> Advice:
        """Return the call with text behind it, such as ``".fit()"`` or a remark."""
        return Advice(*self._parts(behind=self.behind + text))

    def with_name(self, name: str) -> Advice:
        """Return the call whose value has another name."""
        return Advice(*self._parts(before=re.sub(r"\w+ = $", f"{name} = ", self.before)))

    def with_verb(self, verb: str) -> Advice:
        """Return the call with another verb, or of another frame."""
        return Advice(*self._parts(verb=verb))

    def in_place_of(self, formula: str) -> Advice:
        """Return the call whose formula replaces this one of a request ("*": all), not that of the same outcome."""
        return Advice(*self._parts(instead=formula))

    def joined(self, base: Advice) -> Advice:
        """Return this advice with everything else of a request.

        A word of the advice replaces that of the request, entry by entry where both are mappings; None removes it. A
        formula replaces the one of the same left side; a list of them says which stay, in what order.

        Examples
        --------
        >>> asked = call("df.mice.impute", "y ~ x", methods={"x": "norm", "z": "sample"}, bounds={"x": (0, 9)}, rng=1)
        >>> print(call("df.mice.impute", methods={"z": None}, bounds=None, m=5).joined(asked))
        df.mice.impute('y ~ x', methods={'x': 'norm'}, m=5, rng=1)
        """
        formula, models = _formulas(self, base)
        words = {**base.words, **models}
        for word, code in self.words.items():
            if isinstance(words.get(word), Mapping) and isinstance(code, Mapping):
                code = {**words[word], **code}
            if not (word == "model" and word in models):
                words[word] = code
        return Advice(*self._parts(formula=formula, words=words, whole=True))


class Correction(str):
    """A line for a name that is no column: alone it shows the columns, joined to a request it is that, corrected.

    Parameters
    ----------
    word : str
        The option that names it, with ``=`` or without; anything else for the formula.
    old, new : object
        The name, and the column that was probably meant; None where none is near.
    """

    word: str
    old: Any
    new: Any

    def __new__(cls, word: str, old: Any, new: Any) -> Correction:
        """Keep what is corrected beside the line."""
        made = super().__new__(cls, "df.columns.tolist()")
        made.word, made.old, made.new = word.removesuffix("="), old, new
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return Correction, (self.word, self.old, self.new)

    def of(self, base: Advice) -> str:
        """Return a request with the column that was meant, or without what names none.

        Examples
        --------
        >>> asked = call("df.mice.impute", "y ~ x", bounds={"xx": (0, 9)}, ignore="zz > 0", rng=1)
        >>> print(Correction("bounds=", "xx", "x").of(asked))
        df.mice.impute('y ~ x', bounds={'x': (0, 9)}, ignore='zz > 0', rng=1)
        >>> print(Correction("", "zz", None).of(asked))
        df.mice.impute('y ~ x', bounds={'xx': (0, 9)}, rng=1)
        """
        words = {w: self._without(c) if self.new is None else self._changed(c) for w, c in base.words.items()}
        words = {
            w: c if self.word in (w, "") or self.word not in base.words else base.words[w] for w, c in words.items()
        }
        formula = base.formula
        if self.new is not None and self.word not in base.words:
            formula = [self._in(one) for one in formula] if isinstance(formula, list) else formula and self._in(formula)
        made = Advice(*base._parts(words=words, formula=formula, whole=True))
        return self if made == base else made

    def _in(self, text: str) -> str:
        """Return a text with the name of the column that was meant."""
        if text == self.old:
            return str(self.new)
        name = self.new if isinstance(self.new, str) and self.new.isidentifier() else f"Q({self.new!r})"
        return re.sub(rf"(?<![\w.]){re.escape(str(self.old))}(?!\w)", lambda _: name, text)

    def _changed(self, code: Any) -> Any:
        """Return the code of a word with the column that was meant."""
        if isinstance(code, Mapping):
            return {self._changed(key): self._changed(one) for key, one in code.items()}
        try:
            value = ast.literal_eval(code) if isinstance(code, str) else code
        except (ValueError, SyntaxError):  # the name of a variable
            return code
        return code if value is None else written(self._value(value))

    def _value(self, value: Any) -> Any:
        """Return a value with the column that was meant."""
        if isinstance(value, str):
            return self.new if value == self.old else self._in(value)
        if isinstance(value, list | tuple):
            return type(value)(self._value(one) for one in value)
        if isinstance(value, dict):
            return {self._value(key): self._value(one) for key, one in value.items()}
        return self.new if value == self.old else value

    def _without(self, code: Any) -> Any:
        """Return the code of a word without what names no column."""
        if isinstance(code, Mapping):
            return {key: None if self._names(key) or self._names(one) else one for key, one in code.items()}
        return None if self._names(code) else code

    def _names(self, code: Any) -> bool:
        """Return whether code names it."""
        return re.search(rf"(?<!\w){re.escape(str(self.old))}(?!\w)", str(code)) is not None


def call(verb: str, formula: Any = None, /, **words: Any) -> Advice:
    """Return a call that a message advises.

    Parameters
    ----------
    verb : str
        What is called: ``"df.mice.impute"``.
    formula : str or list of str, optional
        By default that of the request which the call is joined to.
    **words : object
        Keywords as values; those of a call of ``impute`` are a change of what the user asked: a mapping changes its own
        entries, and None takes an entry or a word away.

    Returns
    -------
    Advice
        Text, ready for ``do=``. :meth:`Advice.after` and :meth:`Advice.then` put code before and behind it.

    Examples
    --------
    >>> call("df.mice.impute", "y ~ x", bounds={"x": (0, None)}, methods={"z": None})
    "df.mice.impute('y ~ x', bounds={'x': (0, None)})"
    >>> call("df.mice.impute", methods={"x": "leave"}).then("  # its missing values stay")
    "df.mice.impute(methods={'x': 'leave'})  # its missing values stay"
    """
    return Advice(verb, formula, {word: coded(value, word) for word, value in words.items()})


def left_alone(*names: Hashable) -> dict[str, dict[Hashable, Any]]:
    """Return the words that leave columns alone: what is said of their draws goes."""
    gone = dict.fromkeys(("bounds", "censored", "truncated", "predictors"), dict.fromkeys(names))
    return {**gone, "methods": dict.fromkeys(names, "leave")}


def coded(value: Any, word: str, names: Mapping[str, Any] | None = None) -> Any:
    """Return a value of a word as code, entry by entry for a mapping; None stays."""
    if isinstance(value, Mapping):
        return {
            written(key, names): None if one is None else written(one, names, _variable(key, word))
            for key, one in value.items()
        }
    return None if value is None else written(value, names, word)


def written(value: Any, names: Mapping[str, Any] | None = None, otherwise: str = "...") -> str:
    """Return a value as a user writes it; what has no spelling by the name of the variable that holds it.

    Parameters
    ----------
    value : object
    names : mapping, optional
        Variables of the user.
    otherwise : str
        A name for what no variable holds.

    Examples
    --------
    >>> import numpy as np
    >>> written({("a", 1): (np.float64(0.5), None)}), written(float("inf")), written(np.zeros(3), otherwise="w")
    ("{('a', 1): (0.5, None)}", "float('inf')", 'w')
    """
    if isinstance(value, Code):
        return str(value)
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if value is None or isinstance(value, bool | int | str | bytes | range):
        return repr(str(value)) if isinstance(value, str) else repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float('{value}')"
    held = next((name for name, one in (names or {}).items() if one is value and name.isidentifier()), None)
    if held is not None and not isinstance(value, list | tuple | Mapping):
        return held
    many = isinstance(value, list | tuple | set | frozenset)
    inner = [written(one, names, otherwise) for one in value] if many else []
    if isinstance(value, list):
        return f"[{', '.join(inner)}]"
    if isinstance(value, tuple):
        return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
    if isinstance(value, set | frozenset) and value:
        return f"{{{', '.join(sorted(inner))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{written(k, names)}: {written(v, names, otherwise)}' for k, v in value.items())}}}"
    if callable(getattr(value, "get_params", None)) and not isinstance(value, type):
        return _by_parameters(value, names)
    return _by_repr(value, names or {}) or otherwise


def _by_parameters(estimator: Any, names: Mapping[str, Any] | None) -> str:
    """Return the spelling of an estimator in the manner of scikit-learn: parameters that are not at their defaults."""
    usual = inspect.signature(type(estimator).__init__).parameters
    given = estimator.get_params(deep=False)
    said = [
        f"{word}={_parameter(value, names)}" for word, value in given.items() if not _at_default(value, usual.get(word))
    ]
    return f"{type(estimator).__name__}({', '.join(said)})"


def _parameter(value: Any, names: Mapping[str, Any] | None) -> str:
    """Return the code of a parameter; functions by their names."""
    if callable(value) and hasattr(value, "__name__"):
        named = getattr(value, "__module__", None) or type(value).__module__
        return f"np.{value.__name__}" if named.partition(".")[0] == "numpy" else str(value.__name__)
    return written(value, names)


def _at_default(value: Any, parameter: inspect.Parameter | None) -> bool:
    """Return whether a parameter says what holds without it."""
    usual = None if parameter is None else parameter.default
    plain = isinstance(value, str | int | float | tuple) and type(value) is type(usual)
    return value is usual or bool(plain and value == usual)


def _by_repr(value: Any, names: Mapping[str, Any]) -> str:
    """Return the spelling of a value that its repr tells; empty where it tells none."""
    kind, text = type(value), repr(value)
    top, name = kind.__module__.partition(".")[0], kind.__name__
    prefix = "" if names.get(name) is kind else {"pandas": "pd.", "mifit": "mifit.", "datetime": ""}.get(top)
    opened = text.startswith(f"datetime.{name}(" if top == "datetime" else f"{name}(")
    if prefix is None or not opened or "\n" in text or " at 0x" in text or "<" in text:
        return ""
    return prefix + text


def _variable(key: Any, word: str) -> str:
    """Return a name for a variable: that of a column, where it can be one."""
    return key if isinstance(key, str) and key.isidentifier() else word


def _of_word(code: Any) -> str:
    """Return the code of a word, entries that must not be there left out."""
    if not isinstance(code, Mapping):
        return str(code)
    return f"{{{', '.join(f'{key}: {one}' for key, one in code.items() if one is not None)}}}"


def _stays(code: Any) -> bool:
    """Return whether a word is printed: one that is None, or whose entries are all taken away, is not."""
    return any(one is not None for one in code.values()) if isinstance(code, Mapping) else code is not None


def _place(word: str) -> int:
    """Return where a word stands in a printed call; ``sorted`` keeps the keywords of a model as they were given."""
    return 0 if word == "model" else 2 + _ORDER.index(word) if word in _ORDER else 1


def with_request(line: Any, base: Advice, verb: str | None = None) -> Any:
    """Return a line of a message; where it is a call of ``impute``, with what else was asked."""
    if isinstance(line, Correction):
        return line.of(base)
    if not isinstance(line, Advice) or line.whole:
        return line
    of_impute = verb is not None or _IMPUTE.search(base.verb)
    if not (_IMPUTE.search(line.verb) if of_impute else line.verb == base.verb):
        return line
    return (line if verb is None else line.with_verb(verb)).joined(base)


def _formulas(advice: Advice, base: Advice) -> tuple[Any, dict[str, Any]]:
    """Return the formulas of an advice that joins a request, and the models where each has one of its own."""
    several = isinstance(base.formula, list | tuple)
    formulas = list(base.formula) if several else [] if base.formula is None else [base.formula]
    sides = [_left(one) for one in formulas]
    own, model_advised = base.words.get("model"), advice.words.get("model")
    if (
        advice.formula is None
        or not formulas
        or advice.instead == "*"
        or (isinstance(advice.formula, str) and len(formulas) == 1)
    ):
        return (base.formula if advice.formula is None else advice.formula), {}
    each = own[1:-1].split(", ") if isinstance(own, str) and own.startswith("[") else []
    each = each if len(each) == len(formulas) else []
    if not isinstance(advice.formula, str):
        places = [sides.index(_left(one)) if sides.count(_left(one)) == 1 else -1 for one in advice.formula]
        if -1 in places:
            return advice.formula, {}
        kept, models = [formulas[place] for place in places], [each[place] for place in places] if each else []
        if len(kept) == 1:
            return kept[0], {"model": models[0]} if each else {}
        return kept, {"model": f"[{', '.join(models)}]"} if each else {}
    side = _left(advice.instead or advice.formula)
    place = sides.index(side) if sides.count(side) == 1 else -1
    place = formulas.index(advice.instead) if advice.instead in formulas else place
    if place < 0:
        return advice.formula, {"model": model_advised} if each else {}
    whole = [advice.formula if k == place else one for k, one in enumerate(formulas)]
    if not each or model_advised is None:
        return whole, {}
    return whole, {"model": f"[{', '.join(model_advised if k == place else one for k, one in enumerate(each))}]"}


def _left(formula: object) -> str:
    """Return the left side of a formula, without blanks."""
    return "".join(str(formula).partition("~")[0].split())
