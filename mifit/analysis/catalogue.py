"""The table of statsmodels models, one entry each: their properties here.

A later model is one more entry: where the class lives, what it is called, and where it departs from the
ordinary: words of its own, a design without constant, parameters of an odd shape, other degrees of freedom.
What formulas and imputations have to know too, such as that its outcome has levels, stands in
``formula/model_facts.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..formula.model_facts import ModelFacts, model_facts
from .degrees import within_groups
from .fit_ways import fit_choice, fit_mixed, fit_ordinal, fit_polished
from .parameters import (
    Reading,
    as_it_is,
    by_choice,
    by_column,
    by_level,
    cut_points,
    generalised_effects,
    generalised_spread,
    log_dispersion,
    log_precision,
    mixed_effects,
    mixed_spread,
    proportional_hazards,
)

if TYPE_CHECKING:
    from .job import Job
    from .spread import Spread

__all__ = ["CLASSES", "MODELS", "Spec"]


#: covariances of statsmodels that many models share
_HC = ("HC0", "HC1", "HC2", "HC3")
_EVERY = ("nonrobust", "fixed scale", *_HC, "cluster", "HAC", "hac-panel", "nw-panel", "hac-groupsum", "nw-groupsum")


@dataclass(frozen=True, slots=True)
class Spec:
    """Properties of one statsmodels model."""

    name: str  #: as in statsmodels.formula.api
    path: str  #: dotted path of the class, imported on use
    label: str  #: as printed in a summary
    rank: Callable[[Any], int] | None = None  #: rank of the design, from a result; None: from the design itself
    quiet: Mapping[str, object] = field(default_factory=dict)  #: words of ``fit`` that mifit sets
    separates: Callable[[Any], bool] = lambda result: False  #: can its estimate be infinite?
    lines: Callable[[Any, Job], dict[str, str]] = lambda result, job: {}  #: extra lines of the summary
    scale: Callable[[Any], dict[str, float]] = lambda result: {}  #: figures whose mean over the sets is a fact
    reading: Callable[[Any, Job], Reading] = as_it_is  #: parameters as names, numbers and covariance
    inverse: Callable[[Any], Any] = lambda result: None  #: inverse cross-products of the design, if a fit leaves them
    fit: Callable[[Any, Mapping[str, Any]], Any] = lambda model, words: model.fit(**words)
    df: Callable[[Any, Job], float] = lambda result, job: float(result.df_resid)  #: of the complete data
    df_source: str = "residual"  #: where that number comes from
    constant: bool = True  #: False: the intercept column is left out of the design
    groups: bool = False  #: it cannot be fitted without groups=
    words: frozenset[str] = frozenset()  #: words its ``__init__`` takes beyond its signature
    robust: bool = True  #: its fit takes ``cov_type``
    cov_word: str = "cov_type"  #: the word of its fit that names a covariance estimator
    cov_types: tuple[str, ...] = _EVERY  #: what that word may say
    cov_label: str = "nonrobust"  #: covariance estimator, where the user names none
    scaled: bool = False  #: its optimizer needs columns of one size
    equation: str = "likelihood"  #: what its estimates solve, which says how far a fit is from there
    likelihood: str = ""  #: how its log-likelihood is taken; empty where it has none that adds up over rows
    in_units: bool = False  #: its stopping rule is in units of the outcome
    again: tuple[Mapping[str, Any], ...] = ({},)  #: words of further fits, where it is no likelihood
    dispersion: float | None = None  #: where the one parameter beside the coefficients starts; None without one
    mean: str = ""  #: of which scale its linear predictor is that of one mean per row; empty where there is none
    ratio: str = ""  #: what the exponential of a coefficient is
    called: str = ""  #: its name in a paper
    spread: Callable[[Any, Job], Spread] | None = None  #: variance components, of a model with random effects
    alone: str = ""  #: the model that it is without its groups

    @property
    def conditional(self) -> bool:
        """Whether every group has a constant of its own, which is conditioned on."""
        return self.groups and not self.constant and self.spread is None

    @property
    def facts(self) -> ModelFacts:
        """The properties that formulas and imputations use too."""
        return model_facts(self.name)


def _family_facts(result: Any, job: Job) -> dict[str, str]:
    """Return family and link, as statsmodels prints them."""
    family = result.model.family
    return {"Model Family": type(family).__name__, "Link Function": type(family.link).__name__}


def _gee_facts(result: Any, job: Job) -> dict[str, str]:
    """Return family, link, working correlation and the number of groups."""
    structure = type(result.model.cov_struct).__name__
    return {**_family_facts(result, job), "Dependence": structure, "No. Groups": str(_n_groups(job))}


def _cox_facts(result: Any, job: Job) -> dict[str, str]:
    """Return how ties were broken, and the events."""
    return {"Ties": str(result.model.ties), "No. Events": str(_n_events(job))}


def _mixed_facts(result: Any, job: Job) -> dict[str, str]:
    """Return groups and criterion."""
    return {"No. Groups": str(_n_groups(job)), "Method": "REML" if result.reml else "ML"}


def _generalised_facts(result: Any, job: Job) -> dict[str, str]:
    """Return groups and how the random effects were integrated."""
    how = f"ML, {result.nodes} quadrature nodes" if getattr(result, "nodes", 1) > 1 else "ML, Laplace"
    return {"No. Groups": str(_n_groups(job)), "Method": how}


def _ordinal_facts(result: Any, job: Job) -> dict[str, str]:
    """Return the distribution of the latent variable."""
    distribution = job.init.get("distr", "probit")
    return {"Distribution": str(getattr(distribution, "name", distribution))}


def _n_groups(job: Job) -> int:
    """Return the number of groups."""
    return len(np.unique(np.asarray(job.init["groups"])))


def _n_events(job: Job) -> int:
    """Return the number of events of a Cox model."""
    status = job.init.get("status")
    return len(job.endog) if status is None else int(np.sum(status))


def _within_groups(job: Job) -> float:
    """Return residual degrees of freedom of a conditional model: rows - groups whose outcome varies - coefficients."""
    counts = model_facts(job.model).counts
    free = within_groups(np.asarray(job.init["groups"]), job.endog.to_numpy(), counts)
    return float(free - max(len(job.levels) - 1, 1) * len(job.exog.columns))


def _free_scale(result: Any) -> dict[str, float]:
    """Return the dispersion of a family that has one."""
    return {} if type(result.model.family).__name__ in _COUNTS else {"Mean Scale": float(result.scale)}


_COUNTS = ("Binomial", "Poisson", "NegativeBinomial")
_DISCRETE: dict[str, Any] = {
    "rank": lambda result: int(result.model.exog.shape[0] - result.df_resid),
    "quiet": {"disp": 0},
    "separates": lambda result: True,
    "likelihood": "plain",
}
_COUNT: dict[str, Any] = {
    "quiet": {"disp": 0, "maxiter": 1000},
    "separates": lambda result: True,
    "fit": fit_polished,
    "scaled": True,
}
_LINEAR: dict[str, Any] = {
    "rank": lambda result: int(result.model.rank),
    "reading": by_column,
    "likelihood": "linear",
    "equation": "least squares",
    "mean": "identity",
}
_CONDITIONAL: dict[str, Any] = {
    "fit": fit_polished,
    "separates": lambda result: True,
    "df": lambda result, job: _within_groups(job),
    "df_source": "within groups",
    "constant": False,
    "groups": True,
    "words": frozenset({"groups"}),
    "robust": False,
    "scaled": True,
    "likelihood": "plain",
}
_GENERALISED_MIXED: dict[str, Any] = {
    "separates": lambda result: True,
    "lines": _generalised_facts,
    "reading": generalised_effects,
    "spread": generalised_spread,
    "df": lambda result, job: float("inf"),
    "groups": True,
    "words": frozenset({"re_formula"}),
    "robust": False,
    "likelihood": "generalised mixed",
    "equation": "generalised mixed",
}
_REGRESSION, _DISCRETE_MODEL = "statsmodels.regression.", "statsmodels.discrete.discrete_model."
_CHOICE, _GENERALISED = "statsmodels.discrete.conditional_models.", "mifit.analysis.glmm_model."

_ENTRIES = (
    Spec(
        "ols",
        _REGRESSION + "linear_model.OLS",
        "OLS",
        inverse=lambda result: np.asarray(result.model.normalized_cov_params, dtype=np.float64),
        called="linear regression",
        **_LINEAR,
    ),
    Spec("wls", _REGRESSION + "linear_model.WLS", "WLS", called="weighted linear regression", **_LINEAR),
    Spec("gls", _REGRESSION + "linear_model.GLS", "GLS", called="generalized least squares regression", **_LINEAR),
    Spec(
        "rlm",
        "statsmodels.robust.robust_linear_model.RLM",
        "RLM",
        lines=lambda result, job: {"Norm": type(result.model.M).__name__},
        scale=lambda result: {"Mean Scale": float(result.scale)},
        robust=False,
        cov_word="cov",
        cov_types=("H1", "H2", "H3"),
        cov_label="H1",
        equation="robust",
        in_units=True,
        again=({"maxiter": 1000, "tol": 1e-12}, {"maxiter": 1000, "tol": 1e-10, "conv": "coefs"}),
        mean="identity",
        called="robust linear regression",
    ),
    Spec(
        "quantreg",
        _REGRESSION + "quantile_regression.QuantReg",
        "QuantReg",
        lines=lambda result, job: {"Quantile": f"{result.q:g}"},
        robust=False,
        cov_word="vcov",
        cov_types=("robust", "iid"),
        cov_label="robust",
        equation="quantile",
        in_units=True,
        again=({"max_iter": 5000, "p_tol": 1e-9}, {"max_iter": 20_000, "p_tol": 1e-12}),
        mean="identity",
        called="quantile regression",
    ),
    Spec(
        "logit",
        _DISCRETE_MODEL + "Logit",
        "Logit",
        mean="log odds",
        ratio="odds ratio",
        called="logistic regression",
        **_DISCRETE,
    ),
    Spec(
        "probit", _DISCRETE_MODEL + "Probit", "Probit", mean="normal quantile", called="probit regression", **_DISCRETE
    ),
    Spec(
        "poisson",
        _DISCRETE_MODEL + "Poisson",
        "Poisson",
        mean="log",
        ratio="rate ratio",
        called="Poisson regression",
        **_DISCRETE,
    ),
    Spec(
        "negativebinomial",
        _DISCRETE_MODEL + "NegativeBinomial",
        "NegativeBinomial",
        reading=log_dispersion,
        likelihood="dispersion",
        dispersion=0.5,
        mean="log",
        ratio="rate ratio",
        called="negative binomial regression",
        **_COUNT,
    ),
    Spec(
        "generalizedpoisson",
        _DISCRETE_MODEL + "GeneralizedPoisson",
        "GeneralizedPoisson",
        likelihood="plain",
        dispersion=0.5,
        mean="log",
        ratio="rate ratio",
        called="generalized Poisson regression",
        **_COUNT,
    ),
    Spec(
        "zeroinflatedpoisson",
        "statsmodels.discrete.count_model.ZeroInflatedPoisson",
        "ZeroInflatedPoisson",
        likelihood="plain",
        **_COUNT,
    ),
    Spec(
        "mnlogit",
        _DISCRETE_MODEL + "MNLogit",
        "MNLogit",
        quiet={"disp": 0},
        separates=lambda result: True,
        reading=by_level,
        ratio="risk ratio",
        called="multinomial logistic regression",
        likelihood="plain",
    ),
    Spec(
        "ordinal",
        "statsmodels.miscmodels.ordinal_model.OrderedModel",
        "OrderedModel",
        quiet={"disp": 0},
        separates=lambda result: True,
        lines=_ordinal_facts,
        reading=cut_points,
        fit=fit_ordinal,
        constant=False,
        scaled=True,
        cov_types=("nonrobust", *_HC, "cluster", "HAC"),
        likelihood="cut points",
        equation="ordered",
        ratio="odds ratio",
        called="ordinal regression",
    ),
    Spec(
        "betareg",
        "statsmodels.othermod.betareg.BetaModel",
        "BetaModel",
        quiet={"disp": 0},
        reading=log_precision,
        dispersion=0.0,
        mean="log odds",
        fit=fit_polished,
        scaled=True,
        likelihood="plain",
    ),
    Spec(
        "glm",
        "statsmodels.genmod.generalized_linear_model.GLM",
        "GLM",
        lambda result: int(result.df_model) + 1,
        separates=lambda result: type(result.model.family).__name__ in (*_COUNTS, "Tweedie"),
        lines=_family_facts,
        scale=_free_scale,
        reading=by_column,
        likelihood="family",
        equation="family",
        mean="identity",
        called="generalized linear model",
    ),
    Spec(
        "gee",
        "statsmodels.genmod.generalized_estimating_equations.GEE",
        "GEE",
        separates=lambda result: type(result.model.family).__name__ in (*_COUNTS, "Tweedie"),
        lines=_gee_facts,
        scale=_free_scale,
        df=lambda result, job: float(_n_groups(job) - len(job.exog.columns)),
        df_source="groups - p",
        groups=True,
        robust=False,
        cov_types=("robust", "naive", "bias_reduced"),
        cov_label="robust",
        equation="estimating equations",
        in_units=True,
        again=({"maxiter": 500, "ctol": 1e-8}, {"maxiter": 2000, "ctol": 1e-10}),
        mean="identity",
        called="GEE model",
    ),
    Spec(
        "mixedlm",
        _REGRESSION + "mixed_linear_model.MixedLM",
        "MixedLM",
        fit=fit_mixed,
        lines=_mixed_facts,
        scale=lambda result: {"Mean Scale": float(result.scale)},
        reading=mixed_effects,
        df=lambda result, job: float("inf"),
        df_source="large sample",
        groups=True,
        spread=mixed_spread,
        alone="ols",
        words=frozenset({"re_formula", "vc_formula"}),
        robust=False,
        likelihood="mixed",
        equation="mixed",
        mean="identity",
        called="linear mixed model",
    ),
    Spec(
        "mixed_logit",
        _GENERALISED + "MixedLogit",
        "MixedLogit",
        mean="log odds",
        ratio="odds ratio",
        called="mixed logistic regression",
        alone="logit",
        **_GENERALISED_MIXED,
    ),
    Spec(
        "mixed_poisson",
        _GENERALISED + "MixedPoisson",
        "MixedPoisson",
        mean="log",
        ratio="rate ratio",
        called="mixed Poisson regression",
        alone="poisson",
        **_GENERALISED_MIXED,
    ),
    Spec(
        "mixed_ordinal",
        _GENERALISED + "MixedOrdinal",
        "MixedOrdinal",
        ratio="odds ratio",
        called="mixed ordinal regression",
        alone="ordinal",
        constant=False,
        **_GENERALISED_MIXED,
    ),
    Spec(
        "phreg",
        "statsmodels.duration.hazard_regression.PHReg",
        "PHReg",
        quiet={"disp": 0},
        separates=lambda result: True,
        lines=_cox_facts,
        reading=proportional_hazards,
        mean="log hazard",
        ratio="haz. ratio",
        called="Cox proportional hazards regression",
        df=lambda result, job: float(_n_events(job) - len(job.exog.columns)),
        df_source="events - p",
        constant=False,
        robust=False,
        likelihood="plain",
    ),
    Spec(
        "conditional_logit",
        _CHOICE + "ConditionalLogit",
        "ConditionalLogit",
        ratio="odds ratio",
        called="conditional logistic regression",
        **_CONDITIONAL,
    ),
    Spec(
        "conditional_poisson",
        _CHOICE + "ConditionalPoisson",
        "ConditionalPoisson",
        called="conditional Poisson regression",
        **_CONDITIONAL,
    ),
    Spec(
        "conditional_mnlogit",
        _CHOICE + "ConditionalMNLogit",
        "ConditionalMNLogit",
        reading=by_choice,
        called="conditional multinomial regression",
        **{**_CONDITIONAL, "fit": fit_choice, "likelihood": "choice", "scaled": False},
    ),
)

#: every model, by name
MODELS: Mapping[str, Spec] = {entry.name: entry for entry in _ENTRIES}

#: the same by the name of its class, in lower case
CLASSES = {entry.path.rpartition(".")[2].lower(): entry.name for entry in _ENTRIES}
