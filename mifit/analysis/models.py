"""Which statsmodels model is meant, and which words belong to the model and which to its fit."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from itertools import chain
from typing import Any

from .. import calls
from ..calls import Advice, Code
from ..errors import ModelError, nearest
from ..formula.hints import MEANT
from ..formula.source import sourced
from .catalogue import CLASSES, MODELS, Spec
from .families import nearest_family

__all__ = [
    "CLUSTER_WORDS",
    "MODELS",
    "NUMBER_WORDS",
    "STRATUM_WORDS",
    "Call",
    "Spec",
    "is_robust",
    "load",
    "model_name",
    "names_in",
    "sorted_words",
    "spec",
    "with_link",
    "words",
]

#: words whose string value names a column of numbers, read from each completed set
NUMBER_WORDS = frozenset({"weights", "offset", "exposure", "freq_weights", "var_weights", "sigma", "entry", "time"})

#: words whose string value names a column that sorts the rows into groups
STRATUM_WORDS = frozenset({"groups", "strata"})

#: words whose string value names a column at all
_COLUMN_WORDS = NUMBER_WORDS | STRATUM_WORDS | {"status"}

#: words of ``cov_kwds`` whose string value names a column (two names: two-way clusters)
CLUSTER_WORDS = ("groups", "time")

#: words every ``fit`` takes, also where its signature hides them in ``**kwargs``
_COVARIANCE_WORDS = frozenset({"cov_type", "cov_kwds", "use_t"})

#: words that statsmodels knows and mifit refuses, each with the reason
_REFUSED = {
    "formula": "the formula is the first argument",
    "data": "the data are the completed sets",
    "endog": "the outcome is the left side of the formula",
    "exog": "the design is the right side of the formula",
    "subset": "rows are chosen when an analysis is fitted, imp.fit(..., subset=...)",
    "drop_cols": "columns are chosen in the formula",
    "missing": "a completed set has no missing values, and mifit never drops rows",
    "exog_vc": "variance components are given by formulas, vc_formula={'site': '0 + C(site)'}",
    "exog_re": "random slopes are given by a formula, re_formula='~ x'",
}


#: what models are called elsewhere
_ALIASES = {
    "cox": "phreg",
    "coxph": "phreg",
    "linear": "ols",
    "logistic": "logit",
    "mixed": "mixedlm",
    "multinomial": "mnlogit",
    "nb": "negativebinomial",
}

#: a model -> what it is called in other programs, in small letters
_ELSEWHERE = {
    "ols": (
        "lm",
        "reg",
        "regress",
        "regression",
        "linearregression",
        "linearmodel",
        "gaussian",
        "normal",
        "anova",
        "aov",
    ),
    "logit": ("binomial", "logreg", "logisticregression", "logitreg", "lrm", "binary"),
    "glm": ("generalizedlinear", "generalizedlinearmodel"),
    "mixedlm": (
        "lmer",
        "lme",
        "lmm",
        "nlme",
        "lmefour",
        "mixedmodel",
        "multilevel",
        "hierarchical",
        "xtmixed",
    ),
    "mixed_logit": (
        "glmer",
        "melogit",
        "xtlogit",
        "xtmelogit",
        "glmm",
        "mixedlogit",
        "glmmtmb",
        "binomialbayesmixedglm",
    ),
    "mixed_poisson": ("mepoisson", "xtpoisson", "mixedpoisson", "poissonbayesmixedglm"),
    "mixed_ordinal": ("clmm", "meologit", "xtologit", "mixedordinal"),
    "phreg": (
        "coxreg",
        "coxregression",
        "stcox",
        "survival",
        "proportionalhazards",
        "coxphfitter",
        "coxphsurvivalanalysis",
        "surv",
    ),
    "ordinal": ("polr", "clm", "proportionalodds", "ordered", "orderedlogit", "orderedprobit", "olr", "ordreg", "vglm"),
    "mnlogit": ("multinom", "mlogit", "mlogistic", "softmax", "polyreg", "nominal"),
    "negativebinomial": ("nbreg", "glmnb", "negbin", "negbinomial", "negativebinomialp", "nbin"),
    "zeroinflatedpoisson": ("zip", "zeroinfl", "zeroinflated", "hurdle", "hurdlecountmodel"),
    "poisson": ("poissonregression", "count", "counts"),
    "rlm": ("robust", "huber", "robustreg", "lmrob"),
    "quantreg": ("rq", "qreg", "quantile", "quantileregression", "median"),
    "gee": ("geeglm", "gees", "xtgee", "generalizedestimatingequations"),
}

#: models that are not offered, in small letters: what is done instead, and by which model
_INSTEAD = {
    **dict.fromkeys(
        ("zinb", "zeroinflatednegativebinomialp", "zeroinflatednegativebinomial", "zeroinflatedgeneralizedpoisson"),
        ("negativebinomial has the variance beyond a Poisson, zeroinflatedpoisson the zeros", "negativebinomial"),
    ),
    **dict.fromkeys(
        ("tobit", "censreg", "cnreg", "vgam", "survreg"),
        ("leave values beyond the limit missing and say censored= when imputing; then the linear model", "ols"),
    ),
    **dict.fromkeys(("finegray", "crr"), ("the hazard of one cause, the others censored", "phreg")),
    **dict.fromkeys(
        ("randomforest", "randomforestregressor", "xgboost", "lasso", "ridge", "elasticnet", "gam", "glmnet"),
        ("only models whose coefficients can be pooled; splines in the formula, cr(x, df=4), bend a line", "glm"),
    ),
}

#: stands in calls to paste where the user's formula is not known
_ANY = "y ~ x1 + x2"


@dataclass(frozen=True, slots=True)
class Call:
    """A model and its words, sorted into those of ``__init__`` and those of ``fit``; columns still by name."""

    model: str
    init: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> Spec:
        """The table entry of the model."""
        return MODELS[self.model]

    @property
    def cov_type(self) -> str:
        """The covariance estimator: the model's own, ``"nonrobust"`` for most, unless the user said otherwise."""
        own = "cluster" if self.fit.get("groups") is not None else self.spec.cov_label
        return str(self.fit.get(self.spec.cov_word) or own)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the words refer to, in order of appearance."""
        given = {**self.init, **self.fit}
        named = [names_in(value) for word, value in given.items() if word in _COLUMN_WORDS]
        return tuple(dict.fromkeys([*chain.from_iterable(named), *self.clusters]))

    @property
    def formulas(self) -> tuple[str, ...]:
        """Right sides of the formulas among the words: random slopes and variance components."""
        given = [self.init.get("re_formula"), *(self.init.get("vc_formula") or {}).values()]
        return tuple(sourced(str(one).rpartition("~")[2], one) for one in given if one is not None)

    @property
    def clusters(self) -> tuple[str, ...]:
        """Names of the columns that make the clusters or their order in time."""
        given = {**self.fit, **(self.fit.get("cov_kwds") or {})}
        return tuple(chain.from_iterable(names_in(given[word]) for word in CLUSTER_WORDS if word in given))

    @property
    def cov_label(self) -> str:
        """The covariance estimator as printed, with the columns that make the clusters: ``"cluster (id)"``."""
        name = "HC0" if self.without_leverage else self.cov_type
        return f"{name} ({', '.join(self.clusters)})" if self.clusters else name

    @property
    def without_leverage(self) -> bool:
        """Whether a correction for leverage was asked for, which statsmodels has for linear models only."""
        return self.spec.equation != "least squares" and self.cov_type in ("HC1", "HC2", "HC3")


def with_link(model: Any, keywords: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return an ordered model with the link that its name says, ``"ologit"`` or ``"oprobit"``; others as they are.

    Examples
    --------
    >>> with_link("ologit", {})
    ('ordinal', {'distr': 'logit'})
    """
    name = model.lower() if isinstance(model, str) else ""
    return ("ordinal", {"distr": name[1:], **keywords}) if name in ("ologit", "oprobit") else (model, keywords)


def spec(model: Any, formula: str = "", verb: str = "imp.fit", given: Mapping[str, Any] | None = None) -> Spec:
    """Return the table entry of a model.

    Parameters
    ----------
    model : str, class or function
        As :func:`model_name` takes it.
    formula, verb : str, optional
        The analysis, and what is called with it, for the call that an error ends in.
    given : mapping, optional
        Keywords of the analysis.

    Returns
    -------
    Spec

    Raises
    ------
    ModelError
        If the table has no such model.

    Examples
    --------
    >>> spec("ols").label
    'OLS'
    """
    try:
        return MODELS[model_name(model)]
    except ModelError as error:
        if not formula or not isinstance(error.do, Advice):
            raise
        words = {w: v for w, v in (given or {}).items() if isinstance(v, str) and w in _COLUMN_WORDS}
        chosen: dict[str, Any] = {w: Code(code) for w, code in error.do.words.items()} or {"model": None}
        do = calls.call(verb, formula, **{**chosen, **words})
        raise ModelError(error.fact, do=do, **error.lines) from None


def model_name(model: Any) -> str:
    """Return the name of a model, however it was given.

    Parameters
    ----------
    model : str, class or function
        A name as in ``statsmodels.formula.api`` (case does not matter) or a usual other one (cox, logistic, linear,
        multinomial, mixed, nb), a statsmodels class such as
        ``sm.Logit``, or a formula function such as ``smf.logit``.

    Returns
    -------
    str

    Raises
    ------
    ModelError
        If the table has no such model.

    Examples
    --------
    >>> model_name("Logit"), model_name("OrderedModel")
    ('logit', 'ordinal')
    """
    cls = getattr(model, "__self__", model)  # a formula function is the class's own from_formula
    word = cls.__name__ if isinstance(cls, type) else model
    name = word.lower() if isinstance(word, str) else None
    if isinstance(cls, type) and not cls.__module__.startswith(("statsmodels.", __package__)):
        name = None
    if name in MODELS:
        return str(name)
    if name in CLASSES:
        return CLASSES[name]
    if name in _ALIASES and isinstance(model, str):
        return _ALIASES[name]
    plain = re.sub(r"[^a-z]", "", name or "")
    reason, instead = _INSTEAD.get(plain, ("", ""))
    meant = next((own for own, others in _ELSEWHERE.items() if plain in others), None)
    names, others = [*MODELS, *_ALIASES], [] if reason or meant else [*MODELS, *_ALIASES, *CLASSES]
    near = get_close_matches(plain, others, n=1, cutoff=0.6)
    own = instead or meant or (_ALIASES.get(near[0], CLASSES.get(near[0], near[0])) if near else None)
    hint = f" (did you mean {meant!r}?)" if meant else nearest(word, names) if near and isinstance(word, str) else ""
    raise ModelError(
        f"unknown model {word!r}{hint}.",
        known=", ".join(sorted(MODELS)),
        **({"instead": reason} if reason else {}),
        do=calls.call("imp.fit", _ANY, **({"model": own} if own else {})),
    )


def load(model: str) -> type:
    """Import the statsmodels class of a model.

    Examples
    --------
    >>> load("wls").__name__
    'WLS'
    """
    module, _, name = spec(model).path.rpartition(".")
    loaded: type = getattr(import_module(module), name)
    return loaded


def words(model: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words that a model's ``__init__`` and its ``fit`` take by name.

    Only the signatures of the class itself count: OLS inherits from WLS but takes no weights.

    Examples
    --------
    >>> init, fit = words("wls")
    >>> sorted(init), "cov_type" in fit
    (['hasconst', 'weights'], True)
    """
    cls: Any = load(model)
    entry = spec(model)
    init, fit = (_named(inspect.signature(function)) for function in (cls.__init__, cls.fit))
    return (init | entry.words) - _REFUSED.keys(), fit | (_COVARIANCE_WORDS if entry.robust else frozenset())


def sorted_words(
    model: str, keywords: Mapping[str, Any], fit_kwds: Mapping[str, Any] | None = None, formula: str | None = None,
    verb: str = "imp.fit",
) -> Call:  # fmt: skip
    """Sort free words into those of the model and those of its fit.

    Parameters
    ----------
    model : str
        Name of the model.
    keywords : mapping
        What the user wrote beside mifit's own words. A word that both know goes to ``__init__``.
    fit_kwds : mapping, optional
        Words that go to ``fit`` whatever the signatures say, such as the ``tol`` of an optimizer.
    formula, verb : str, optional
        The analysis, and what is called with it, for the calls that errors end in.

    Returns
    -------
    Call

    Raises
    ------
    ModelError
        If the model is unknown, if neither knows a word, or if a word would drop rows or replace the formula.

    Examples
    --------
    >>> sorted_words("wls", {"weights": "w", "cov_type": "HC1"})
    Call(model='wls', init={'weights': 'w'}, fit={'cov_type': 'HC1'})
    """
    if fit_kwds is not None and not isinstance(fit_kwds, Mapping):
        raise ModelError(f"fit_kwds is {fit_kwds!r}; a mapping is needed.", do="imp.fit(fit_kwds={'maxiter': 100})")
    entry, shown = spec(model), _ANY if formula is None else formula
    if not keywords and not fit_kwds:  # the usual call needs no signature, and so does not load statsmodels
        return Call(entry.name)
    known_init, known_fit = words(entry.name)
    keywords = _clusters_inside(keywords, known_init | known_fit)
    for word in {**keywords, **(fit_kwds or {})}:
        if word in _REFUSED:
            raise ModelError(f"{word}= cannot be given: {_REFUSED[word]}.", do=calls.call(verb, shown, **{word: None}))
    for word in keywords:
        if word not in known_init | known_fit:
            raise _unknown(entry, word, known_init | known_fit, verb, shown, keywords)
    family = keywords.get("family")
    if isinstance(family, str | type):
        raise ModelError(
            f"family={family!r} is not a family: statsmodels wants an object.",
            do=calls.call(verb, shown, model="glm", family=Code(_as_family(family))),
        )
    if not isinstance(keywords.get("vc_formula", {}), Mapping):
        raise ModelError(
            f"vc_formula is {keywords['vc_formula']!r}; a mapping of names to formulas is needed.",
            do=calls.call(verb, shown, model="mixedlm", vc_formula={"site": "0 + C(site)"}),
        )
    init = {word: value for word, value in keywords.items() if word in known_init}
    fit = {word: value for word, value in keywords.items() if word not in known_init} | dict(fit_kwds or {})
    _check_estimator(entry, fit, shown)
    if fit.get("cov_type") == "cluster" and "groups" not in (fit.get("cov_kwds") or {}):
        raise ModelError("cov_type='cluster' needs to know the clusters.", do=_clustered(shown))
    return Call(entry.name, init, fit)


def _check_estimator(entry: Spec, fit: Mapping[str, Any], formula: str) -> None:
    """Refuse a covariance estimator that the model does not have."""
    given = fit.get(entry.cov_word)
    if given is None or given in entry.cov_types:
        return
    close = get_close_matches(str(given).lower(), [one.lower() for one in entry.cov_types], n=1, cutoff=0.5)
    meant = next((one for one in entry.cov_types if close and one.lower() == close[0]), entry.cov_types[0])
    if str(given).lower() in _ROBUST:
        meant = _robust_of(entry) or meant
    grouped = ", groups='id'" if entry.groups or meant == "cluster" else ""
    raise ModelError(
        f"{entry.label} has no covariance {given!r}.",
        known=", ".join(entry.cov_types),
        do=f"imp.fit({formula!r}, model={entry.name!r}{grouped}, {entry.cov_word}={meant!r})",
    )


def _clusters_inside(keywords: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Move ``groups=`` beside ``cov_type=`` to where statsmodels looks for it, unless the model takes it itself."""
    moved = {word: keywords[word] for word in CLUSTER_WORDS if word in keywords and word not in known}
    if not moved or "cov_type" not in keywords:
        return dict(keywords)
    rest = {word: value for word, value in keywords.items() if word not in moved}
    return {**rest, "cov_kwds": {**(rest.get("cov_kwds") or {}), **moved}}


def is_robust(cov_type: str | None) -> bool:
    """Tell whether a covariance estimator does without the model's likelihood.

    Examples
    --------
    >>> is_robust("HC1"), is_robust("nonrobust"), is_robust(None)
    (True, False, False)
    """
    return cov_type not in (None, "nonrobust", "fixed scale")


def names_in(value: object) -> tuple[str, ...]:
    """Return the column names in a word's value: a string, or a list of two; an array has none.

    Examples
    --------
    >>> names_in("id"), names_in(["id", "year"]), names_in([1.0, 2.0])
    (('id',), ('id', 'year'), ())
    """
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and len(value) <= 2 and all(isinstance(one, str) for one in value):
        return tuple(value)
    return ()


def _named(signature: inspect.Signature) -> frozenset[str]:
    """Return the names of a signature, without self and the catch-alls."""
    catch_all = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return frozenset(p.name for p in signature.parameters.values() if p.kind not in catch_all) - {"self"}


def _clustered(formula: str) -> Advice:
    """Return the call that names the clusters."""
    return calls.call("imp.fit", formula, cov_type="cluster", groups="id").then("   # a column")


def _unknown(
    entry: Spec, word: str, known: frozenset[str], verb: str, formula: str, keywords: Mapping[str, Any]
) -> ModelError:
    """Return the error for a word that the model does not take, naming the models that do."""
    given = keywords[word]
    meant = MEANT.get(word.lower().replace("_", "").replace(".", ""))
    if word in _SEEDS or meant == "rng":
        do = calls.call("imp.fit", formula, **{word: None}).then("  # rng= is a word of df.mice.impute")
        return ModelError(f"{word}= belongs to the imputation, as rng=: a fit draws nothing.", do=do)
    if meant in ("m", "iterations"):
        many = int(given) if isinstance(given, int | float) or str(given).isdigit() else 20
        rest = ", ".join(f"{w}={calls.written(v, otherwise=w)}" for w, v in keywords.items() if w != word)
        do = calls.call("df.mice.impute", formula, **{meant: many}).then(f".fit({rest})")
        return ModelError(f"{word}= belongs to the imputation, as {meant}=.", do=do)
    takers = [other for other in MODELS if other != entry.name and word in words(other)[0]]
    takers = [other for other in _FIRST if other in takers] + takers
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    value = Code(_as_family(given) if word == "family" and isinstance(given, str | type) else _as_given(given))
    if word.startswith("cluster") and not isinstance(given, str):  # an array: its column has a name
        do = _clustered(formula)
    elif word in _COVARIANCES:
        do = _as_cov_type(word, str(given), formula, entry)
    elif word in CLUSTER_WORDS:
        do = _clustered(formula)
    elif takers:
        taker = "glm" if word == "family" and "glm" in takers else takers[0]
        do = calls.call(verb, formula, model=taker, **{word: value})
    elif close:
        do = calls.call(verb, formula, model=entry.name, **{close[0]: value, word: None})
    else:
        do = calls.call(verb, formula, model=entry.name, fit_kwds={word: value}, **{word: None})
        do = do.then("   # if its optimizer takes it")
    near = "" if word in _COVARIANCES else nearest(word, known)
    fact = f"The {entry.label} model has no keyword {word!r}{near}."
    return ModelError(fact, known=", ".join(sorted(known)), do=do)


#: words of other programs for the covariance of the estimates
_COVARIANCES = ("vce", "robust", "cluster", "clusters")

#: how other programs ask for errors that are robust to unequal variances
_ROBUST = ("robust", "sandwich", "white", "huber", "hc", "heteroscedastic", "heteroskedastic")


def _as_cov_type(word: str, given: str, formula: str, entry: Spec) -> Advice:
    """Return the call with the covariance that ``vce=``, ``robust=`` or ``cluster=`` means."""
    named = given if word.startswith("cluster") else given.partition("cluster")[2].strip()
    if named:
        return calls.call("imp.fit", formula, model=entry.name, cov_type="cluster", groups=named, **{word: None})
    robust = _robust_of(entry) or entry.cov_types[0]
    return calls.call("imp.fit", formula, model=entry.name, **{entry.cov_word: robust, word: None})


def _robust_of(entry: Spec) -> str | None:
    """Return the covariance of a model that bears unequal variances; None where it has none."""
    return next((one for one in ("HC1", "HC0", "robust") if one in entry.cov_types), None)


def _as_family(given: Any) -> str:
    """Return the code of the family that a text or a class means."""
    return f"sm.families.{nearest_family(given)}()"


#: words of those who look for a seed
_SEEDS = ("seed", "random_state", "rng")

#: models named first where several take a word
_FIRST = ("wls", "poisson", "phreg", "glm", "mixedlm")


def _as_given(value: Any) -> str:
    """Return a value as it can be pasted: numbers and text as they are, families by their call, else a name."""
    if isinstance(value, str | int | float | bool | None):
        return repr(value)
    module, name = type(value).__module__, type(value).__name__
    return f"sm.families.{name}()" if module == "statsmodels.genmod.families.family" else name.lower()
