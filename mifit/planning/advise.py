"""Is imputation the answer? What a causal diagram with missingness nodes says of complete cases and of imputation."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..calls import Advice, Code
from ..display import block, facts, table
from ..errors import PlanError, call, listed
from .dag import Dag, parse, require

__all__ = ["DagAdvice", "advise"]

_MARKS = ("R_", "M_")  #: how the nodes of missing values begin
_MOST = 12  # auxiliaries whose subsets are all tried


@dataclass(frozen=True, eq=False, repr=False)
class DagAdvice:
    """What a causal diagram says about missing values; what :func:`mifit.advise` returns.

    Attributes
    ----------
    outcome, exposure : str
    adjust : tuple of str
        Covariates of the analysis.
    identified : bool
        Whether the effect could be estimated by this analysis had nothing been missing.
    complete_cases : bool
        Whether complete rows give the same conditional effect.
    imputation : bool
        Whether values are missing at random given the analysis and the auxiliaries named in ``with_``.
    with_ : tuple of str
        The fewest auxiliaries that imputation needs.
    auxiliaries : DataFrame
        Index the other observed variables; ``advice`` ("needed", "helps", "no use", "leave out"), ``reason``.
    reasons : tuple of str
        One sentence for each answer.
    """

    outcome: str
    exposure: str
    adjust: tuple[str, ...]
    identified: bool
    complete_cases: bool
    imputation: bool
    with_: tuple[str, ...]
    auxiliaries: pd.DataFrame
    reasons: tuple[str, ...]
    do: Advice | None  #: the imputation that the diagram allows

    def __repr__(self) -> str:
        lines = [f"{self.outcome} ~ {' + '.join([self.exposure, *self.adjust])}"]
        for label, said in self._answers():
            lines += textwrap.wrap(f"{label:<15}: {said}", 110, subsequent_indent=" " * 17)
        if len(self.auxiliaries):
            lines += ["", self.auxiliaries.to_string()]
        return "\n".join([*lines, *(["", f"do: {self.do}"] if self.do else [])])

    def _answers(self) -> list[tuple[str, str]]:
        answers = (self.identified, self.complete_cases, self.imputation)
        labels = ("effect", "complete cases", "imputation")
        said = zip(labels, answers, self.reasons, strict=True)
        return [(label, f"{'yes' if answer else 'no'}; {why}") for label, answer, why in said]

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        rows = [(name, one.advice, one.reason) for name, one in self.auxiliaries.iterrows()]
        found = table(["auxiliary", "advice", "reason"], rows) if rows else ""
        return block(f"{self.outcome} ~ {' + '.join([self.exposure, *self.adjust])}", facts(self._answers()), found)


def advise(
    dag: str, outcome: str, exposure: str, adjust: str | Sequence[str] | None = None
) -> DagAdvice:  # fmt: skip
    """Say whether complete cases or imputation recover an effect, and which auxiliaries help.

    Parameters
    ----------
    dag : str
        Arrows, separated by semicolons or lines, as dagitty writes them: ``"z -> x; z -> y; x -> y; z -> R_x"``. A
        node ``R_x`` (or ``M_x``) says whether x is missing; variables without one are complete. ``u [latent]`` is
        observed by nobody, ``a <-> b`` a common cause of that kind; ``{a b}`` are several nodes.
    outcome, exposure : str
        Nodes of the diagram.
    adjust : str or sequence of str, optional
        Covariates of the analysis; by default the fewest observed ones that block all back-door paths.

    Returns
    -------
    DagAdvice
        Prints the answers, the auxiliaries and the call.

    Raises
    ------
    PlanError
        If the text is no diagram, leads in a circle, or does not have a node that is named.

    Notes
    -----
    *Complete cases*: in a regression of the outcome on exposure and covariates the rows that are complete give the
    same conditional effect if the outcome is d-separated from their being complete, given exposure and covariates. That
    values depend on themselves is then no harm, if they are covariates.

    *Imputation*: values are missing at random if all missingness nodes are d-separated from all incomplete variables,
    given the complete ones among analysis and auxiliaries. An auxiliary that is a collider between a cause of the
    values and a cause of their being missing destroys this.

    Both are sufficient, and the answers are no better than the diagram: an arrow that is not drawn is an assumption.
    Odds ratios of a logistic regression survive in complete cases also where completeness depends on the outcome alone.

    References
    ----------
    Hughes, R. A., Heron, J., Sterne, J. A. C. and Tilling, K. (2019). Accounting for missing data in statistical
    analyses: multiple imputation is not always the answer. *International Journal of Epidemiology* 48(4), 1294-1304.
    doi:10.1093/ije/dyz032

    Moreno-Betancur, M., Lee, K. J., Leacy, F. P., White, I. R., Simpson, J. A. and Carlin, J. B. (2018). Canonical
    causal diagrams to guide the treatment of missing data in epidemiologic studies. *American Journal of Epidemiology*
    187(12), 2705-2715. doi:10.1093/aje/kwy173

    Lee, K. J., Tilling, K. M., Cornish, R. P. et al. (2021). Framework for the treatment and reporting of missing data
    in observational studies: the TARMOS framework. *Journal of Clinical Epidemiology* 134, 79-88.
    doi:10.1016/j.jclinepi.2021.01.008

    Examples
    --------
    >>> import mifit
    >>> found = mifit.advise("z -> x; z -> y; x -> y; x -> R_x", outcome="y", exposure="x")
    >>> found.complete_cases, found.imputation, found.adjust
    (True, False, ('z',))
    """
    graph = parse(dag)
    require(graph, outcome, "outcome")
    require(graph, exposure, "exposure")
    marks = _marks(graph)
    observed = [n for n in graph.nodes if n not in graph.latent and n not in marks.values()]
    _refuse_roles(graph, outcome, exposure, observed)
    chosen = _adjusted(graph, outcome, exposure, adjust, observed)
    identified = _blocked(graph, outcome, exposure, chosen)
    analysis = (outcome, exposure, *chosen)
    others = [n for n in observed if n not in analysis]
    rows = [marks[name] for name in analysis if name in marks]
    complete = not rows or graph.separated(rows, [outcome], [exposure, *chosen])
    needed = _needed(graph, analysis, others, marks)
    judged = _judged(graph, analysis, others, marks, needed)
    reasons = (
        _of_effect(identified, chosen, adjust is not None),
        _of_complete(complete, outcome, rows, graph),
        _of_imputation(graph, analysis, needed, marks),
    )
    kept = [*analysis, *judged.index[judged["advice"].isin(["needed", "helps"])]]
    do = None
    if needed is not None and rows:
        formula = f"{outcome} ~ {' + '.join([exposure, *chosen])}"
        do = call("df.mice.impute", formula, m=20, rng=1)
        do = do.with_verb(f"df[{kept!r}].mice.impute") if len(kept) < len(observed) else do
    return DagAdvice(
        outcome, exposure, tuple(chosen), identified, complete, needed is not None, needed or (), judged, reasons, do
    )


def _again(**words: Any) -> Advice:
    """The call with other words."""
    return call("mifit.advise", Code("dag"), **words)


def _marks(graph: Dag) -> dict[str, str]:
    """Each incomplete variable -> the node that says whether it is missing."""
    found = {}
    for node in graph.nodes:
        for mark in _MARKS:
            if node.startswith(mark) and node[len(mark) :] in graph.parents:
                found[node[len(mark) :]] = node
    return found


def _refuse_roles(graph: Dag, outcome: str, exposure: str, observed: Sequence[str]) -> None:
    """Refuse an outcome or exposure that is not observed, or the same."""
    for word, name in (("outcome", outcome), ("exposure", exposure)):
        if name not in observed:
            what = "observed by nobody" if name in graph.latent else "a node of missing values"
            others = {word: observed[0] if observed else "x"}
            raise PlanError(
                f"{word}={name!r} is {what}.", do=_again(**{"outcome": outcome, "exposure": exposure, **others})
            )
    if outcome == exposure:
        other = next((name for name in observed if name != outcome), "x")
        raise PlanError("outcome and exposure are the same.", do=_again(outcome=outcome, exposure=other))


def _blocked(graph: Dag, outcome: str, exposure: str, chosen: Iterable[str]) -> bool:
    """The back-door criterion: no descendant of the exposure among the covariates, and no path into it open."""
    chosen = list(chosen)
    if graph.descendants([exposure]) & set(chosen):
        return False
    return graph.without_arrows_from(exposure).separated([exposure], [outcome], chosen)


def _adjusted(
    graph: Dag, outcome: str, exposure: str, adjust: str | Sequence[str] | None, observed: Sequence[str]
) -> list[str]:
    """The covariates given, or the fewest that block all back-door paths; all candidates where none do."""
    if adjust is not None:
        given = [adjust] if isinstance(adjust, str) else list(adjust)
        for name in given:
            require(graph, name, "adjust")
            if name not in observed or name in (outcome, exposure):
                raise PlanError(f"adjust= names {name!r}, which is no covariate.",
                                do=_again(outcome=outcome, exposure=exposure))  # fmt: skip
        return given
    above = graph.ancestors([outcome, exposure])
    below = graph.descendants([exposure])
    candidates = [n for n in observed if n in above and n not in below and n != outcome]
    for size in range(len(candidates) + 1 if len(candidates) <= _MOST else 1):
        for some in itertools.combinations(candidates, size):
            if _blocked(graph, outcome, exposure, some):
                return list(some)
    return candidates


def _at_random(graph: Dag, used: Iterable[str], marks: dict[str, str]) -> bool:
    """Whether the missingness nodes of some variables are separated from them, given those that are complete."""
    used = list(used)
    incomplete = [name for name in used if name in marks]
    complete = [name for name in used if name not in marks]
    return graph.separated([marks[name] for name in incomplete], incomplete, complete)


def _needed(
    graph: Dag, analysis: Sequence[str], others: Sequence[str], marks: dict[str, str]
) -> tuple[str, ...] | None:
    """The fewest auxiliaries with which values are missing at random; None if there are none."""
    candidates = list(others)[:_MOST]
    for size in range(len(candidates) + 1):
        for some in itertools.combinations(candidates, size):
            if _at_random(graph, [*analysis, *some], marks):
                return some
    return None


def _judged(
    graph: Dag, analysis: Sequence[str], others: Sequence[str], marks: dict[str, str], needed: tuple[str, ...] | None
) -> pd.DataFrame:
    """What each other observed variable is good for."""
    incomplete = [name for name in analysis if name in marks]
    alone = [*analysis, *(needed or ())]
    base, lines = list(alone), []
    for name in others:
        beside = [n for n in base if n != name]
        informs = not all(graph.separated([name], [one], [n for n in beside if n != one]) for one in incomplete)
        if needed is not None and name in needed:
            lines.append(("needed", "without it values are not missing at random"))
        elif needed is not None and not all(_at_random(graph, [*one, name], marks) for one in (alone, base)):
            why = "incomplete itself, and not at random" if name in marks else "a collider: it opens a path"
            lines.append(("leave out", f"{why} between values and their being missing"))
        elif incomplete and informs:
            base.append(name)  # the next ones have to bear its company
            lines.append(("helps", f"it goes with {listed(map(repr, incomplete))} given the others: more precision"))
        else:
            lines.append(("no use", "it says nothing of the missing values given the others"))
    index = pd.Index(list(others), name="auxiliary", dtype=object)
    return pd.DataFrame(lines, columns=["advice", "reason"], index=index).astype(object)


def _of_effect(identified: bool, chosen: Sequence[str], given: bool) -> str:
    """Why the effect could be estimated from complete data, or why not."""
    named = listed(map(repr, chosen)) if chosen else "nothing"
    if identified:
        return f"given {named}, no back-door path is open" + (
            "" if given or not chosen else " (chosen from the diagram)"
        )
    return f"given {named}, exposure and outcome have a common cause, or a covariate follows from the exposure"


def _of_complete(complete: bool, outcome: str, rows: Sequence[str], graph: Dag) -> str:
    """Why complete cases do, or why not."""
    if not rows:
        return "no variable of the analysis has a node of missing values"
    named = listed(rows)
    if complete:
        return f"given exposure and covariates, {named} are independent of {outcome!r}"
    return f"given exposure and covariates, {named} still depend on {outcome!r}"


def _of_imputation(graph: Dag, analysis: Sequence[str], needed: tuple[str, ...] | None, marks: dict[str, str]) -> str:
    """Why imputation does, or why not."""
    incomplete = [name for name in analysis if name in marks]
    if not incomplete:
        return "nothing of the analysis is missing"
    if needed is None:
        themselves = [name for name in incomplete if name in graph.parents[marks[name]]]
        why = f"{listed(map(repr, themselves))} cause their own being missing" if themselves else "a path stays open"
        return f"values are not missing at random, whatever is added: {why}; imp.sensitivity() asks what that does"
    return "values are missing at random given the analysis" + (f" and {listed(map(repr, needed))}" if needed else "")
