"""Every error and warning that mifit raises on purpose, drawn as a tree.

::

    MifitError
    ├── DataError            the frame: a column that is unknown, empty, infinite, of mixed types
    ├── FormulaError         the formula: it does not parse, or names what is not there
    ├── PlanError            the options: a method, a predictor, an order that cannot be
    ├── ModelError           the analysis: an unknown model, a word that no one takes
    ├── CongenialityError    the question was not foreseen by the imputations
    ├── ImputationError      a chain could not go on
    ├── FitError             a statsmodels model failed on a completed set
    ├── PoolingError         the estimates cannot be combined
    └── StorageError         a file cannot be written, read or trusted

    MifitWarning
    ├── ClusterWarning       an outcome is drawn without the cluster it belongs to
    ├── CongenialityWarning  the imputations were made again for this analysis
    ├── ConvergenceWarning   the chains have not settled, or a model did not converge in some sets
    ├── IncompleteWarning    values stay missing in the completed sets that nobody asked to leave
    ├── SeparationWarning    the analysis has no finite estimate in some sets
    └── StorageWarning       a file does not hold everything: what to pass back when it is loaded

    KeyboardInterrupt
    └── Interrupted          imputing was stopped; the finished sets are in its ``partial``
"""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from .calls import Advice, call, with_request

__all__ = [
    "ClusterWarning",
    "CongenialityError",
    "CongenialityWarning",
    "ConvergenceWarning",
    "DataError",
    "FitError",
    "FormulaError",
    "ImputationError",
    "IncompleteWarning",
    "Interrupted",
    "MifitError",
    "MifitWarning",
    "ModelError",
    "PlanError",
    "PoolingError",
    "SeparationWarning",
    "StorageError",
    "StorageWarning",
    "call",
    "help",
    "listed",
    "near",
    "nearest",
    "outside",
    "warn",
]


class MifitError(Exception):
    """Root of all errors of mifit: a fact, a few labelled lines, where it is explained, and a call to paste.

    Parameters
    ----------
    fact : str
        What is wrong, in one sentence, with the user's own names and numbers.
    do : str, optional
        The call that cures it; printed last.
    **lines : object
        At most three labelled lines between the two.

    Examples
    --------
    >>> print(MifitError("column 'bmi' is empty.", rows=25, do="df.mice.impute(methods={'bmi': 'leave'})"))
    column 'bmi' is empty.
      rows : 25
      more : mifit.help("mifiterror")
      do   : df.mice.impute(methods={'bmi': 'leave'})
    """

    partial: Any = None  #: an ImputedSet of the chains that were finished before the error, where two were

    def __init__(self, fact: str, *, do: str | None = None, **lines: object) -> None:
        do = _with_import(do)
        labelled = {**lines, "more": _explained(type(self)), **({} if do is None else {"do": do})}
        width = max(map(len, labelled))
        body = "".join(f"\n  {label:<{width}} : {text}" for label, text in labelled.items())
        super().__init__(fact + body)
        self.fact = fact
        self.do = do
        self.lines = dict(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _remake, (type(self), self.fact, self.do, self.lines)

    def complete(self, base: Advice, verb: str | None = None) -> None:
        """Let the calls of ``impute`` that it advises say what else was asked, or be calls of another verb."""
        do = with_request(self.do, base, verb)
        lines = {label: with_request(line, base, verb) for label, line in self.lines.items()}
        made = type(self)(self.fact, do=do, **lines)
        self.do, self.lines, self.args = made.do, made.lines, made.args

    def rename(self, given: dict[str, object], names: dict[str, Any]) -> None:
        """Let what it advises have the names that the user's variables have: ``{"long": the frame}``."""
        for placeholder, value in given.items():
            own = next((n for n, one in names.items() if one is value and n.isidentifier()), None)
            if own is None or value is None or not isinstance(self.do, str):
                continue
            text = re.sub(rf"(?<![\w.'\"]){placeholder}(?=[\[\].,) ]|$)", own, self.do)
            if text != self.do:
                made = type(self)(self.fact, do=text, **self.lines)
                self.do, self.args = made.do, made.args


def _with_import(do: str | None) -> str | None:
    """Return a line that imports what it calls statsmodels, where its reader has no ``sm``."""
    if do is None or not re.search(r"(?<![\w.'\"])sm\.", do) or "import statsmodels" in do:
        return do
    frame: Any = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] in ("mifit", "contextlib"):
        frame = frame.f_back
    if frame is not None and ("sm" in frame.f_locals or "sm" in frame.f_globals):
        return do
    line = "import statsmodels.api as sm; "
    return do.after(line) if isinstance(do, Advice) else line + do


def _remake(kind: type[MifitError], fact: str, do: str | None, lines: dict[str, object]) -> MifitError:
    """Rebuild an error that crossed a process."""
    return kind(fact, do=do, **lines)


def _explained(kind: type[BaseException]) -> str:
    """Return the call that explains a class of this module, or the nearest ancestor in it."""
    return f'mifit.help("{_known(kind).__name__.lower()}")'


def _known(kind: type[BaseException]) -> type[BaseException]:
    """Return a class of this module, or the nearest ancestor in it."""
    return next(ancestor for ancestor in kind.__mro__ if ancestor.__module__ == __name__)


class DataError(MifitError, ValueError):
    """The frame cannot be used as it is."""


class FormulaError(MifitError, ValueError):
    """The formula does not parse, or names what is not there."""


class PlanError(MifitError, ValueError):
    """The options contradict each other or the data."""


class ModelError(MifitError, ValueError):
    """The analysis model is unknown, or a word is meant for no one."""


class CongenialityError(MifitError, ValueError):
    """The question was not foreseen by the imputations."""


class ImputationError(MifitError, RuntimeError):
    """A chain could not go on; ``partial`` holds the finished sets."""


class FitError(MifitError, RuntimeError):
    """A model failed on a completed data set."""


class PoolingError(MifitError, ValueError):
    """The estimates cannot be combined."""


class StorageError(MifitError, ValueError):
    """A file cannot be written, read or trusted."""


class Interrupted(KeyboardInterrupt):
    """Imputing was stopped from the keyboard; what was finished is not lost.

    Attributes
    ----------
    partial : ImputedSet or None
        The sets whose chains were finished, where they are at least two; ``partial.extend(m=...)`` draws the others,
        the same bits as without the interruption.
    """

    partial: Any = None

    def __str__(self) -> str:
        return f"{super().__str__()}\n  more : {_explained(type(self))}"


class MifitWarning(UserWarning):
    """Root of all warnings of mifit: a fact, often a call that avoids it, and where it is explained.

    Examples
    --------
    >>> print(MifitWarning("3 fits did not converge."))
    3 fits did not converge.
      more : mifit.help("mifitwarning")
    """

    def __str__(self) -> str:
        return f"{super().__str__()}\n  more : {_explained(type(self))}"


class ClusterWarning(MifitWarning):
    """Missing values of an outcome that is analysed by cluster are drawn without the cluster they belong to."""


class CongenialityWarning(MifitWarning):
    """The imputations were made again, because the analysis was not foreseen."""


class ConvergenceWarning(MifitWarning):
    """The chains of the imputation have not settled, or a model did not converge in some of the completed sets."""


class IncompleteWarning(MifitWarning):
    """Values stay missing in the completed sets, in columns that nobody asked to leave alone."""


class SeparationWarning(MifitWarning):
    """The analysis has no finite estimate in some of the completed sets."""


class StorageWarning(MifitWarning):
    """A file does not hold everything that is needed to go on."""


def help(name: object = None) -> None:
    """Print what is known about an error or warning: what it means, and what to do about it.

    Parameters
    ----------
    name : str, class or exception, optional
        As the line ``more`` of a message has it; upper and lower case are the same. By default the names that can be
        asked for.

    Raises
    ------
    MifitError
        If nothing of that name is explained.

    Examples
    --------
    >>> help("separationwarning")
    SeparationWarning
    <BLANKLINE>
    In some sets the analysis has no finite estimate, because a combination of covariates predicts the outcome
    perfectly. Look at a cross-table of the outcome with the term named; merge rare levels,
    drop the term, or report a penalised analysis.
    """
    text = files(__package__).joinpath("messages.md").read_text(encoding="utf-8")
    found = re.split(r"^\((\w+)\)=\n## (\w+)\n", text, flags=re.MULTILINE)[1:]
    sections = {word: (title, body.strip()) for word, title, body in zip(*[iter(found)] * 3, strict=True)}
    if name is None:
        print("\n".join(f'mifit.help("{word}")' for word in sections))  # noqa: T201 it is asked for
        return
    kind = name if isinstance(name, type) else type(name)
    if issubclass(kind, MifitError | MifitWarning | Interrupted):
        name = _known(kind).__name__
    asked = re.split(r"[.#]", str(getattr(name, "__name__", name)).strip())[-1].lower()
    if asked not in sections:
        raise MifitError(
            f"there is no help on {name!r}{nearest(asked, sections)}.",
            known=", ".join(sections),
            do=f'mifit.help("{(difflib.get_close_matches(asked, sections, 1, 0.5) or ["mifiterror"])[0]}")',
        )
    title, body = sections[asked]
    page = re.sub(r"\[\]\(([\w-]+)\.md[^)]*\)", r"the page '\1' of the documentation", body)
    print(f"{title}\n\n{page}")  # noqa: T201 it is asked for


def nearest(word: object, known: Iterable[object]) -> str:
    """Return a hint like ``(did you mean 'bmi'?)``, or nothing when no known word is close.

    Examples
    --------
    >>> nearest("bim", ["bmi", "age"])
    " (did you mean 'bmi'?)"
    """
    found = near(word, known)
    return "" if found is None else f" (did you mean {found!r}?)"


def near(word: object, known: Iterable[object]) -> Any:
    """Return the known word that is closest; None where none is close.

    Examples
    --------
    >>> near("BMI", ["bmi", "age"]), near("w", ["bmi"])
    ('bmi', None)
    """
    spelled = {str(k): k for k in known}
    match = difflib.get_close_matches(str(word), list(spelled), n=1, cutoff=0.5)
    small = {text.casefold(): text for text in reversed(spelled)}
    if str(word).casefold() in small:
        match = [small[str(word).casefold()]]
    elif not match:
        match = [small[one] for one in difflib.get_close_matches(str(word).casefold(), list(small), n=1, cutoff=0.5)]
    return spelled[match[0]] if match else None


def outside() -> int:
    """Return the stack level of the first caller outside this package, for warnings."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == "mifit":
        level, frame = level + 1, frame.f_back
    return level


def warn(text: str, kind: type[Warning] = MifitWarning) -> None:
    """Warn at the line of the caller outside this package."""
    warnings.warn(kind(text), stacklevel=outside())


def listed(names: Iterable[object], most: int = 4) -> str:
    """Return the first few of some names, and how many they are where there are more.

    Examples
    --------
    >>> listed("abc"), listed(range(12), 3)
    ('a, b, c', '0, 1, 2, ... (12)')
    """
    every = [str(name) for name in names]
    return ", ".join(every[:most]) + (f", ... ({len(every)})" if len(every) > most else "")
