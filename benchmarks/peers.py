"""The analyses of the simulated scenarios in R's words, and what smcfcs is asked for where it can do them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PEERS", "Peer", "r_name"]


@dataclass(frozen=True)
class Peer:
    """One scenario for R.

    Parameters
    ----------
    analysis : str
        A call whose value has ``coef`` and ``vcov``; the data are ``d``.
    smtype, smformula : str
        Of smcfcs; without them it cannot do the analysis.
    method : mapping
        Of smcfcs, for incomplete columns; "norm" unless named.
    drop : tuple of str
        Columns that smcfcs is not shown: it has no place for auxiliaries.
    """

    analysis: str = ""
    smtype: str = ""
    smformula: str = ""
    method: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()


def r_name(name: str) -> str:
    """How R calls a coefficient."""
    name = re.sub(r"^(\d:)?Intercept$", r"\1(Intercept)", name)
    return re.sub(r"\[T\.(\w+)\]", r"\1", name).replace(" ** ", "^").replace("w / h", "w/h")


_LM, _LOGIT, _POISSON = "lm(y ~ x1 * x2, d)", "glm(y ~ x1 * x2, binomial, d)", "glm(y ~ x1 * x2, poisson, d)"
_GAMMA, _POLR = "glm(y ~ x1 * x2, Gamma('log'), d)", "MASS::polr(y ~ x1 * x2, d, Hess = TRUE)"
_COX = "coxph(Surv(time, died) ~ x1 * x2, d, ties = 'breslow')"
_HAZARD = "Surv(time, died) ~ x1 * x2"
_CROSSED, _XZ = "y ~ x1 * x2", "y ~ x + z"
_BINARY = {"x2": "logreg"}
_LATER = ("later",)

_LINEAR = Peer(_LM, "lm", _CROSSED)
_LINEAR_BINARY = Peer(_LM, "lm", _CROSSED, _BINARY)
_LOGISTIC = Peer(_LOGIT, "logistic", _CROSSED)
_SHAPED = Peer("lm(y ~ x + z, d)", "lm", _XZ)

PEERS: dict[str, Peer] = {
    "linear interaction": _LINEAR,
    "linear interaction, binary partner incomplete": _LINEAR_BINARY,
    "linear interaction, continuous partner incomplete": _LINEAR,
    "linear interaction, skewed covariate": _LINEAR,
    "68 % missing": _LINEAR,
    "follow-up auxiliary": Peer(_LM, "lm", _CROSSED, drop=_LATER),
    "interaction not foreseen": _LINEAR,
    "half of the rows": Peer("lm(y ~ x1, d[d$x2 == 1, ])", "lm", _CROSSED),
    "half of the rows, not foreseen": Peer("lm(y ~ x1, d[d$x2 == 1, ])", "lm", _CROSSED),
    "quadratic": Peer("lm(y ~ z + x + I(x^2), d)", "lm", "y ~ z + x + I(x^2)"),
    "quadratic, two modes": Peer("lm(y ~ z + x + I(x^2), d)", "lm", "y ~ z + x + I(x^2)"),
    "ratio of two incomplete columns": Peer("lm(y ~ I(w / h^2) + z, d)", "lm", "y ~ I(w / h^2) + z"),
    "spline with bounds, its tail lost": Peer("spline_at(d)", "lm", "y ~ bs(x, df = 4) + z"),
    "spline": Peer("spline_at(d)", "lm", "y ~ bs(x, df = 4) + z"),
    "log-normal covariate": _SHAPED,
    "gamma covariate": _SHAPED,
    "covariate skewed to the left": _SHAPED,
    "mixed kinds": Peer("lm(y ~ x + b + g + r + z, d)", "lm", "y ~ x + b + g + r + z", {"b": "logreg", "g": "mlogit"}),
    "overdispersed count, binary 1/2": Peer(
        "lm(y ~ c + k + z, d)", "lm", "y ~ c + k + z", {"c": "poisson", "k": "logreg"}
    ),
    "incomplete outcome, auxiliary": Peer("lm(y ~ x * z, d)"),
    "logistic interaction": _LOGISTIC,
    "logistic interaction, continuous partner": _LOGISTIC,
    "logistic interaction, binary partner incomplete": Peer(_LOGIT, "logistic", _CROSSED, _BINARY),
    "logistic interaction, continuous partner incomplete": _LOGISTIC,
    "logistic, log-normal covariate": Peer("glm(y ~ x + z, binomial, d)", "logistic", _XZ),
    "logistic interaction, follow-up auxiliary": Peer(_LOGIT, "logistic", _CROSSED, drop=_LATER),
    "logistic interaction, incomplete outcome": Peer(_LOGIT),
    "probit interaction": Peer("glm(y ~ x1 * x2, binomial('probit'), d)"),
    "Poisson interaction": Peer(_POISSON, "poisson", _CROSSED),
    "Poisson interaction, both incomplete": Peer(_POISSON, "poisson", _CROSSED),
    "Poisson interaction, incomplete outcome": Peer(_POISSON),
    "Gamma interaction": Peer(_GAMMA),
    "Gamma interaction, both incomplete": Peer(_GAMMA),
    "Gamma interaction, incomplete outcome": Peer(_GAMMA),
    "negative binomial interaction": Peer("MASS::glm.nb(y ~ x1 * x2, d)"),
    "ordinal interaction": Peer(_POLR),
    "ordinal interaction, both incomplete": Peer(_POLR),
    "multinomial interaction": Peer("nnet::multinom(y ~ x1 * x2, d, trace = FALSE)"),
    "Cox interaction": Peer(_COX, "coxph", _HAZARD),
    "Cox interaction, both incomplete, 60 % censored": Peer(_COX, "coxph", _HAZARD, _BINARY),
    "Cox, log-normal covariate": Peer(
        "coxph(Surv(time, died) ~ x1 + x2, d, ties = 'breslow')", "coxph", "Surv(time, died) ~ x1 + x2"
    ),
}
