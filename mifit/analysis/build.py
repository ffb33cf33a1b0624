"""One fit as plain data: the arrays of one completed set, every named column read from it."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import calls
from ..calls import Code
from ..errors import FitError, ModelError, listed
from ..typing import Array
from .job import CompletedSets, FrozenDesign, Job, Levels
from .mixed import packed_columns
from .models import CLUSTER_WORDS, MODELS, NUMBER_WORDS, STRATUM_WORDS, Call, load, names_in

__all__ = ["empty", "in_turn", "job_of", "model_of", "outcome_levels", "random_design", "stack", "usable"]


def outcome_levels(design: FrozenDesign, completed: CompletedSets, call: Call) -> Levels:
    """Return the levels of a categorical outcome over all sets.

    Parameters
    ----------
    design, completed, call
        As in :func:`~mifit.analysis.fit.fit_sets`. Where the design knows its ``levels``, they are those;
        otherwise the numbers that occur in any set.

    Returns
    -------
    Levels

    Raises
    ------
    ModelError
        If a numeric outcome has so many values that it is no category.
    """
    if not call.spec.facts.levels:
        return Levels((), np.empty(0))
    given = tuple(getattr(design, "levels", ()))
    seen = np.unique(np.concatenate([design.outcome(completed.values(k)) for k in range(len(completed))]))
    if given:
        labels, codes = tuple(_text(level) for level in given), np.arange(len(given), dtype=np.float64)
        # a rating scale may come as its numbers or as codes of them; text comes as codes
        return Levels(labels, codes if np.isin(seen, codes).all() and 0.0 in seen else seen)
    if len(seen) > _MANY_LEVELS:
        raise ModelError(
            f"the outcome of a {call.spec.label} model has {len(seen)} values; it is a category with a few levels.",
            do=f"imp.fit({design.formula!r}, model='ols')",
        )
    return Levels(tuple(_text(value) for value in seen.tolist()), seen)


def job_of(
    design: FrozenDesign,
    completed: CompletedSets,
    call: Call,
    k: int,
    levels: Levels | None = None,
) -> Job:
    """Return the arrays of set k, every named column read from it.

    Parameters
    ----------
    design, completed, call
        As in :func:`~mifit.analysis.fit.fit_sets`.
    k : int
        Number of the set, from 0.
    levels : Levels, optional
        What :func:`outcome_levels` found, where it has been asked already.

    Returns
    -------
    Job

    Raises
    ------
    ModelError
        If a word names a column that cannot be used, or has the wrong length.
    FitError
        If a level of a categorical outcome is absent from this set.
    """
    values = completed.values(k)
    levels = outcome_levels(design, completed, call) if levels is None else levels
    outcome = design.outcome(values)
    if levels.labels:
        outcome = _coded(outcome, levels, k, design.outcome_label)
    _refuse_numbers(outcome, design, call)
    labels = completed.labels(k)
    endog = pd.Series(outcome, index=labels, name=design.outcome_label)
    kept = [i for i, name in enumerate(design.names) if call.spec.constant or name != "Intercept"]
    matrix = design.matrix(values)
    matrix = matrix if len(kept) == len(design.names) else matrix[:, kept]
    exog = pd.DataFrame(matrix, index=labels, columns=[design.names[i] for i in kept], copy=False)
    init = {word: _read(word, given, completed, k) for word, given in call.init.items()}
    if call.spec.groups and init.get("groups") is None:
        raise ModelError(
            f"a {call.spec.label} model needs to know the groups.",
            do=f"imp.fit({design.formula!r}, model={call.model!r}, groups='id')   # a column",
        )
    if call.spec.spread is not None:
        _refuse_one_group(init["groups"], design, call, k)
    if call.spec.facts.hazard:
        _refuse_follow_up(endog, init, call, k)
    if init.get("re_formula") is not None:
        init["exog_re"] = _random_columns(design, values, init["re_formula"], labels, call.model)
    if init.get("vc_formula"):
        init["components"] = {
            name: packed_columns(_random_columns(design, values, one, labels, call.model).to_numpy(), init["groups"])
            for name, one in sorted(init["vc_formula"].items())
        }
    init = {word: given for word, given in init.items() if word not in ("re_formula", "vc_formula")}
    fit = {**call.spec.quiet, **{word: _read(word, given, completed, k) for word, given in call.fit.items()}}
    if fit.get("cov_kwds"):
        given = fit["cov_kwds"].items()
        fit["cov_kwds"] = {w: _codes(w, v, completed, k) if w in CLUSTER_WORDS else v for w, v in given}
    named = {w: v for w, v in {**call.init, **call.fit}.items() if isinstance(v, str)}
    return Job(k, endog, exog, call.model, init, fit, levels.labels, named)


def model_of(job: Job, design: FrozenDesign | None = None, bare: bool = False) -> Any:
    """Return the statsmodels model of a job, formula and design attached if a design is given; of arrays if bare."""
    cls = load(job.model)
    endog: Any = job.endog
    if MODELS[job.model].facts.ordered:  # level names for statsmodels' own summary, and the order beyond doubt
        ordered = pd.Categorical.from_codes(endog.astype(int), list(job.levels), ordered=True)
        endog = pd.Series(ordered, index=endog.index, name=endog.name)
    exog = job.exog if len(job.exog.columns) else None
    init = {word: given for word, given in job.init.items() if word != "components"}
    if MODELS[job.model].facts.hazard and init.get("entry") is not None:
        # a row is at risk after its entry; statsmodels has it at risk from then on
        init["entry"] = np.nextafter(np.asarray(init["entry"], dtype=np.float64), np.inf)
    if job.init.get("components"):
        init["exog_vc"] = _components(job)
    if bare and exog is not None:
        return cls(endog.to_numpy(), exog.to_numpy(), **init)
    if design is None or exog is None:
        return cls(endog, exog, **init)
    info = design.info
    if info is not None and len(job.exog.columns) < len(design.names):
        info = info.subset([term for term in info.term_names if term != "Intercept"])
    model = cls(endog, exog, **init, **{_spec_word(): info, "formula": design.formula})
    model.formula = design.formula
    return model


def stack(jobs: Sequence[Job]) -> Job:
    """Return one job of all rows of several sets: groups and strata of different sets are different ones.

    Parameters
    ----------
    jobs : sequence of Job
        One for each set, of the same model.

    Returns
    -------
    Job
        Its outcome and design have m n rows. A Cox model has the set as a stratum (within the strata it had).
    """
    first, counts = jobs[0], [len(job.endog) for job in jobs]
    init = {word: _joined([job.init[word] for job in jobs], word, counts[0]) for word in first.init}
    if MODELS[first.model].facts.hazard and init.get("strata") is None:
        init["strata"] = np.repeat(np.arange(len(jobs)), counts)
    endog = pd.concat([job.endog for job in jobs], ignore_index=True)
    exog = pd.concat([job.exog for job in jobs], ignore_index=True)
    return Job(first.k, endog, exog, first.model, init, first.fit, first.levels, first.named)


def empty(job: Job) -> bool:
    """Tell whether a model without a constant has nothing to estimate: the smallest that others are compared with."""
    return not len(job.exog.columns) and not MODELS[job.model].constant and not MODELS[job.model].facts.ordered


def usable(job: Job) -> Job:
    """Return a job that statsmodels can take: a model with nothing to estimate gets a column of zeros."""
    return replace(job, exog=job.exog.assign(none=0.0)) if empty(job) else job


def in_turn(jobs: Iterable[Job]) -> Iterator[Job]:
    """Hand on jobs, collecting designs of earlier ones that their fits left in cycles, once they are large.

    Each step of statsmodels' iterated least squares leaves such a cycle with two designs in it; Python's own collector
    counts objects, not bytes, and would let those of all m sets pile up.
    """
    done: list[tuple[weakref.ref[Array], int]] = []
    for job in jobs:
        matrix = job.exog.to_numpy()
        done.append((weakref.ref(matrix if matrix.base is None else matrix.base), matrix.nbytes))
        del matrix
        yield job
        done = [(design, size) for design, size in done if design() is not None]
        if sum(size for _, size in done[:-1]) >= _PILE:
            gc.collect()


#: more values than this are no levels
_MANY_LEVELS = 50

#: bytes of designs left over that are worth a collection
_PILE = 2**25


def _components(job: Job) -> Any:
    """Return the variance components of a mixed model as statsmodels takes them: for each, a matrix for each group."""
    from statsmodels.regression.mixed_linear_model import VCSpec

    groups, parts = np.asarray(job.init["groups"]), job.init["components"]
    rows = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    mats = [[part[which][:, part[which].any(axis=0)] for which in rows] for part in parts.values()]
    pairs = zip(parts, mats, strict=True)
    names = [[[f"{name}[{j}]" for j in range(mat.shape[1])] for mat in each] for name, each in pairs]
    return VCSpec(list(parts), names, mats)


def _joined(parts: Sequence[Any], word: str, n_rows: int) -> Any:
    """Return one word's value for the stacked sets."""
    first = parts[0]
    if word == "components":
        return {name: _padded([part[name] for part in parts]) for name in first}
    if not isinstance(first, np.ndarray | pd.DataFrame) or len(first) != n_rows:
        return first
    if word in STRATUM_WORDS:
        width = max(int(part.max()) for part in parts) + 1
        return np.concatenate([part + k * width for k, part in enumerate(parts)])
    if isinstance(first, pd.DataFrame):
        return pd.concat(parts, ignore_index=True)
    if first.ndim == 2 and first.shape[1] == n_rows:
        raise ModelError(f"{word}= is a matrix of all rows against all; the sets cannot be stacked.", do="method='D1'")
    return np.concatenate(parts)


def _padded(parts: Sequence[Array]) -> Array:
    """Return matrices below each other, narrow ones filled with zeros on the right."""
    width = max(part.shape[1] for part in parts)
    return np.vstack([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])


def _read(word: str, given: Any, completed: CompletedSets, k: int) -> Any:
    """Return the value of one word for set k: a named column as numbers or codes, anything else as it is."""
    if word == "status":
        return _events(given, completed, k)
    if word in NUMBER_WORDS:
        return _numbers(word, given, completed, k)
    if word in STRATUM_WORDS and given is not None:
        return _codes(word, given, completed, k)
    if isinstance(given, np.ndarray | pd.Series | pd.DataFrame) and len(given) == len(completed.index):
        return completed.take(k, given)
    # A working correlation learns while it is fitted: every fit gets its own.
    return copy.deepcopy(given) if word == "cov_struct" else given


def _coded(outcome: Array, levels: Levels, k: int, name: str) -> Array:
    """Return outcomes as codes 0..K-1; every level must occur."""
    labels, codes = levels.labels, np.searchsorted(levels.values, outcome)
    absent = [labels[code] for code in np.flatnonzero(np.bincount(codes, minlength=len(labels)) == 0)]
    if absent:
        raise FitError(
            f"no row of completed set {k} has {name} = {', '.join(absent)}: its parameters have no estimate there.",
            do=f"imp[{k}]   # that set: merge the level with another, before imputing",
        )
    return codes.astype(np.float64)


def _refuse_numbers(outcome: Array, design: FrozenDesign, call: Call) -> None:
    """Refuse a number where a model of shares or of yes and no is asked for."""
    negative = int((outcome < 0).sum())
    if negative and call.spec.facts.counts and call.spec.spread is not None:
        raise ModelError(
            f"{call.spec.label} models counts; {design.outcome_label!r} is negative in {negative} rows.",
            do=calls.call("imp.fit", design.formula, model="mixedlm"),
        )
    binomial = type(call.init.get("family")).__name__ == "Binomial"
    outside = (outcome < 0) | (outcome > 1)
    if not (outside.any() and (binomial or call.spec.facts.binary or call.spec.facts.share)) or "n_trials" in call.init:
        return
    number = f"imp.fit({design.formula!r}, model='ols')"
    fact = f"{design.outcome_label!r} has numbers outside 0 to 1 in {int(outside.sum())} rows"
    if call.spec.facts.share:
        raise ModelError(f"{call.spec.label} models shares; {fact}.", do=number)
    raise ModelError(
        f"{call.spec.label} models yes and no; {fact}.",
        **{"as a number": number},
        do=_yes_and_no(outcome, design, call),
    )


def _yes_and_no(outcome: Array, design: FrozenDesign, call: Call) -> str:
    """Return the lines that make yes and no of an outcome in numbers, and the call that analyses it."""
    from ..formula.column_code import above, of_expression, with_outcome

    unchecked: Any = design
    question, table = unchecked.question, unchecked.table
    columns = table.columns
    rows = table.complete_rows(question.outcome)  # what was drawn may lie beyond what was observed
    outcome = unchecked.response({name: table[name].values[rows] for name in question.outcome})
    code = above("?", outcome).replace("df['?']", f"df[{question.outcome[0]!r}]")
    if not question.bare:
        code = above("?", outcome).replace("df['?']", f"({of_expression(question.terms.outcome, columns)})")
    words: dict[str, Any] = {
        "model": call.model,
        **{w: v for w, v in call.init.items() if isinstance(v, str | int | float)},
    }
    if call.spec.facts.by_family:
        words["family"] = Code("sm.families.Binomial()")
    return with_outcome(code, design.formula, columns, words, question.outcome)


def _numbers(word: str, given: Any, completed: CompletedSets, k: int) -> Any:
    """Return a column as floats, shape (n,); a number or None stays as it is."""
    if given is None or (np.ndim(given) == 0 and not isinstance(given, str)):
        return given
    column = completed.series(k, given) if isinstance(given, str) else _of_set(word, given, completed, k)
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{word}={_short(given)} is not numeric.") from error
    if numbers.ndim == 2 and numbers.shape[1] == len(completed.index):  # a covariance of all rows
        numbers = np.asarray(completed.take(k, numbers.T)).T
    if not np.isfinite(numbers).all():
        raise ModelError(f"{word}={_short(given)} is not a finite number in every row of set {k}.")
    return numbers


def _codes(word: str, given: Any, completed: CompletedSets, k: int) -> npt.NDArray[np.int64]:
    """Return clusters as codes 0..G-1, shape (n,), or (n, 2) for two columns."""
    named = [completed.series(k, name) for name in names_in(given)]
    columns = named or list(np.atleast_2d(np.asarray(_of_set(word, given, completed, k)).T))
    codes = np.column_stack([pd.factorize(column, sort=True)[0] for column in columns]).astype(np.int64)
    if (codes < 0).any():
        raise ModelError(f"{word}={_short(given)} has missing values in set {k}: every row needs one.")
    return codes if codes.shape[1] > 1 else codes[:, 0]


def _events(given: Any, completed: CompletedSets, k: int) -> Any:
    """Return a status as 1 for an event and 0 for a censored time, shape (n,)."""
    if given is None:
        return None
    named = isinstance(given, str)
    column = pd.Series(completed.series(k, given) if named else np.asarray(_of_set("status", given, completed, k)))
    levels = column.unique().tolist()
    if column.isna().any() or any(level not in (0, 1) for level in levels):
        from ..formula.column_code import event

        name = given if isinstance(given, str) else "status"
        seen = sorted((v for v in levels if not pd.isna(v)), key=str)
        raise ModelError(
            f"status={_short(given)} is not 1 for an event and 0 for none in every row of set {k}.",
            values=listed(levels, 5),
            do=event(name, seen or [1], [name])
            if isinstance(given, str)
            else f"imp.fit(model='phreg', status=np.asarray(status) == {(seen or [1])[-1]!r})  # if that is the event",
        )
    return np.asarray(column.astype(object), dtype=np.float64)


def _refuse_follow_up(times: pd.Series, init: Mapping[str, Any], call: Call, k: int) -> None:
    """Refuse follow-up that ends before it began, and a status without an event."""
    status, entry = init.get("status"), init.get("entry")
    if status is not None and not np.any(status):
        shown = call.init["status"] if isinstance(call.init["status"], str) else ""
        raise ModelError(
            f"status={_short(call.init['status'])} has no event in the {len(times)} rows of set {k}: "
            "no coefficient can be estimated.",
            do=f"imp[{k}][{shown!r}].value_counts()" if shown else "np.unique(status)",
        )
    many = 0 if entry is None else int(np.sum(entry >= times.to_numpy(dtype=np.float64)))
    if many:
        named, time = _short(call.init["entry"]), times.name
        raise ModelError(
            f"entry={named} is not before {time!r} in {many} rows of set {k}; none of them is at risk.",
            do=f"imp[{k}].loc[imp[{k}][{call.init['entry']!r}] >= imp[{k}][{time!r}]]"
            if isinstance(call.init["entry"], str)
            else f"imp[{k}][{time!r}].describe()",
        )


def _refuse_one_group(groups: npt.NDArray[np.int64], design: FrozenDesign, call: Call, k: int) -> None:
    """Refuse random effects of a single group: their variance cannot be estimated."""
    if len(np.unique(groups)) < 2:
        words = dict.fromkeys([word for word in ("groups", "re_formula", "vc_formula") if word in call.init])
        raise ModelError(
            f"groups={_short(call.init['groups'])} has one value in all {len(groups)} rows of set {k}: "
            "a variance between groups needs at least 2.",
            do=calls.call("imp.fit", design.formula, model=call.spec.alone, **words),
        )


def random_design(design: FrozenDesign, formula: Any, model: str) -> Any:
    """Return the frozen design of random effects of a formula such as ``"~ x"``.

    Parameters
    ----------
    design : FrozenDesign
        Of the fixed part, with its table.
    formula : str
    model : str

    Returns
    -------
    Design

    Raises
    ------
    ModelError
        If the design has no table.
    """
    from ..formula.design import freeze
    from ..formula.question import ask
    from ..formula.source import FileText, resolve, sourced

    outcome = design.formula.partition("~")[0]
    right = str(formula).rpartition("~")[2]
    table = getattr(design, "table", None)
    if table is None:
        raise ModelError("re_formula= and vc_formula= need a design with its table.")
    names = getattr(getattr(design, "question", None), "names", {})
    text = sourced(f"{outcome} ~ {right}", formula, design.formula)
    if isinstance(text, FileText):
        text = FileText(text, {**text.names, **names})
    return freeze(ask(text, table, model=model, scope=resolve(names)), table)


def _random_columns(design: FrozenDesign, values: Any, formula: Any, index: pd.Index, model: str) -> pd.DataFrame:
    """Return the columns of random effects in one set."""
    frozen = random_design(design, formula, model)
    names = ["Group" if name == "Intercept" else name for name in frozen.names]
    return pd.DataFrame(frozen.matrix(values), index=index, columns=names)


def _spec_word() -> str:
    """Return the word under which this statsmodels takes a patsy design."""
    import statsmodels

    return "model_spec" if tuple(map(int, statsmodels.__version__.split(".")[:2])) >= (0, 15) else "design_info"


def _of_set(word: str, given: Any, completed: CompletedSets, k: int) -> Any:
    """Return an array given for all rows of the frame, for those of set k; one of another length is refused."""
    array = np.asarray(given)
    if len(array) != len(completed.index):
        raise ModelError(f"{word}= has {len(array)} values, the frame {len(completed.index)} rows.")
    return completed.take(k, array)


def _short(given: object) -> str:
    """Return a column's name, or a word for an array."""
    return repr(given) if isinstance(given, str) else "an array"


def _text(level: Any) -> str:
    """Return a level as a label: 1.0 is "1"."""
    return f"{level:g}" if isinstance(level, float) else str(level)
