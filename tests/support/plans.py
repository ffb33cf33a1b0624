"""Imputations of every family, kind of column and sort of option: one frame each, and the words that impute it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import statsmodels.api as sm

from mifit.imputation.methods import METHODS, Mixed, Mixture

__all__ = ["PLANS", "Arguments", "Undeclared"]

_N = 160


class Arguments(NamedTuple):
    """A frame and how it is imputed."""

    frame: pd.DataFrame
    formula: Any
    words: dict[str, Any]


class Undeclared:
    """A method of somebody's own that mifit knows nothing of: one of its own behind another name."""

    def __init__(self, name: str) -> None:
        self.inner = METHODS[name]
        self.kinds, self.reference = self.inner.kinds, "nobody"

    def fit(self, visit: Any, rng: np.random.Generator) -> Any:
        """What the other method fits."""
        return self.inner.fit(visit, rng)


def frame_of(seed: int = 3, n: int = _N) -> pd.DataFrame:
    """Columns of every kind, complete."""
    rng = np.random.default_rng(seed)
    z, x = rng.normal(size=(2, n))
    x = x + 0.5 * z
    frame = pd.DataFrame({"x": x, "z": z, "size": np.exp(0.7 * x + 0.3 * rng.normal(size=n))})
    frame["flag"] = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    frame["g"] = pd.Categorical(rng.choice(list("abc"), n))
    frame["o"] = pd.Categorical(rng.choice(["low", "mid", "top"], n), ordered=True)
    frame["k"] = rng.poisson(np.exp(0.3 * z + 1.5))
    frame["low"], frame["w"], frame["e"] = x - rng.exponential(size=n), rng.uniform(0.5, 2, n), rng.uniform(1, 3, n)
    frame["n"] = rng.integers(1, 4, n)
    linear = 0.4 * x + 0.3 * z + 0.3 * frame["flag"]
    frame["y"] = linear + rng.normal(size=n)
    frame["up"] = np.exp(0.3 * frame["y"])
    frame["bin"] = (rng.random(n) < 1 / (1 + np.exp(-linear))).astype(int)
    frame["count"] = rng.poisson(np.exp(0.3 * linear))
    frame["gamma"] = rng.gamma(2.0, np.exp(0.3 * linear) / 2.0)
    frame["level"] = pd.Categorical(rng.choice(list("pqr"), n))
    frame["rank"] = pd.Categorical(np.digitize(frame["y"], [-0.5, 0.7]).astype(str), ordered=True)
    frame["time"], frame["died"] = rng.exponential(np.exp(-0.3 * linear)), (rng.random(n) < 0.7).astype(int)
    frame["aux"] = frame["y"] + x + rng.normal(size=n)
    frame["last"] = frame["aux"] + rng.normal(size=n)
    frame["more"] = np.exp(rng.normal(size=n))
    return frame


def lost(frame: pd.DataFrame, *names: str, seed: int = 9) -> pd.DataFrame:
    """The columns named first lose a fifth of their values; the others named stay complete."""
    rng = np.random.default_rng(seed)
    frame = frame.copy()
    for name in names:
        frame[name] = frame[name].mask(rng.random(len(frame)) < 0.2)
    return frame


def _asked(holes: str, formula: Any, rest: str = "", **words: Any) -> Callable[[], Arguments]:
    """An imputation of the columns of ``holes``; ``rest`` names the complete ones."""
    return lambda: Arguments(lost(frame_of(), *holes.split())[[*holes.split(), *rest.split()]], formula, words)


def _families() -> dict[str, Callable[[], Arguments]]:
    """Every outcome against every kind of covariate, both with missing values."""
    log = sm.families.links.Log()
    outcomes: dict[str, tuple[str, dict[str, Any]]] = {
        "ols": ("y", {}),
        "wls": ("y", {"model": "wls", "weights": "w"}),
        "logit": ("bin", {}),
        "logit offset": ("bin", {"model": "logit", "offset": "e"}),
        "probit": ("bin", {"model": "probit"}),
        "poisson": ("count", {"model": "poisson"}),
        "poisson exposure": ("count", {"model": "poisson", "exposure": "e"}),
        "negbin": ("count", {"model": "negativebinomial"}),
        "gamma": ("gamma", {"model": "glm", "family": sm.families.Gamma(log)}),
        "gamma weights": ("gamma", {"model": "glm", "family": sm.families.Gamma(log), "var_weights": "w"}),
        "gaussian offset": ("y", {"model": "glm", "family": sm.families.Gaussian(), "offset": "e"}),
        "gaussian weights": ("y", {"model": "glm", "family": sm.families.Gaussian(), "var_weights": "w"}),
        "binomial": ("bin", {"model": "glm", "family": sm.families.Binomial()}),
        "cloglog": ("bin", {"model": "glm", "family": sm.families.Binomial(sm.families.links.CLogLog())}),
        "ordinal": ("rank", {"model": "ordinal"}),
        "mnlogit": ("level", {"model": "mnlogit"}),
    }
    found = {}
    for name, (outcome, words) in outcomes.items():
        rest = " ".join(v for k, v in words.items() if k in ("weights", "offset", "exposure", "var_weights"))
        for kind in ("x", "size", "flag", "g", "o", "k"):
            found[f"{name} | {kind}"] = _asked(f"{outcome} {kind}", f"{outcome} ~ {kind} + z", f"z {rest}", **words)
    for kind in ("x", "size", "flag", "g", "k"):
        formula = f"time ~ {kind} + z"
        found[f"cox | {kind}"] = _asked(kind, formula, "time z died", model="phreg", status="died")
    return found


def _shapes() -> dict[str, Callable[[], Arguments]]:
    """Terms, outcomes, auxiliaries and links between analyses that decide between the samplers."""
    found = {
        f"term {term}": _asked("y x", f"y ~ {term}", "z")
        for term in ("x*z", "I(x**2)", "np.exp(x / 4)", "bs(x, df=4)", "center(x)", "I(2*x - z)", "C(x > 0)")
    }
    found |= {
        f"outcome {code}": _asked("up x aux", f"{code} ~ x + z", "z")
        for code in ("np.log(up)", "np.sqrt(up)", "np.exp(up)", "I(2*up + 1)", "np.log1p(up)")
    }
    found |= {
        "two outcomes, the second with a square of the first": _asked("y w", ["y ~ x", "w ~ x + y + I(y**2)"], "x"),
        "two outcomes, the second with the first": _asked("y w", ["y ~ x", "w ~ x + y"], "x"),
        "two outcomes in a sequence": _asked("y bin x", ["y ~ x", "bin ~ x"], "z", link="sequence"),
        "one outcome twice": _asked("y x", ["y ~ x", "y ~ x + I(x**2)"], "z"),
        "auxiliaries": _asked("y x aux last", "y ~ x + z", "z"),
        "auxiliaries of all kinds": _asked("y x more flag g k o", "y ~ x + z", "z"),
        "auxiliary under an expression": _asked("up aux", "np.log(up) ~ z", "z"),
        "baseline": _asked("y x aux", "y ~ x", "z", auxiliary={"baseline": ["z"]}),
        "constant and unasked": _asked("y x k g", "y ~ x", "", auxiliary="ignore"),
        "weighted outcome that feeds": _asked("y x aux", "y ~ x", "w", model="wls", weights="w"),
    }
    return found


def _wishes() -> dict[str, Callable[[], Arguments]]:
    """Bounds, conditions, ids, weights, groups, and other ways to impute."""
    everything = "y x size flag g o k"
    found: dict[str, Callable[[], Arguments]] = {
        "plain": _asked(everything, None, "z"),
        "terms": _asked("y x flag", "y ~ x*flag", "z", congeniality="terms"),
        "ignored": _asked("y x flag", "y ~ x*flag", "z", congeniality="ignore"),
        "mixed": _asked("y x flag", "y ~ x*flag", "z n", model="mixedlm", groups="n"),
        "plain weights": _asked("y x flag", None, "z w", weights="w"),
        "plain frequencies": _asked("y", None, "z x", weights={"frequency": "ones"}),
        "rows": _asked("y x flag", "y ~ x + flag", "z", ignore="z > 1"),
        "groups": _asked("y x size", "y ~ x + I(size**2)", "flag", by="flag"),
    }
    found["plain frequencies"] = lambda: Arguments(
        lost(frame_of(), "y")[["y", "z", "x"]].assign(ones=1), None, {"weights": {"frequency": "ones"}}
    )
    for method in ("pmm", "norm", "power", "sample"):
        for word, bound in (("bounds", (-9.0, None)), ("truncated", ("low", None)), ("censored", (-1.0, 4.0))):
            given = {"methods": {"x": method}, word: {"x": bound}}
            found[f"plain {method}, {word}"] = _asked("x y", None, "z low", **given)
    for method in ("pmm", "negbin", "poisson", "norm", "sample"):
        found[f"plain count {method} within"] = _asked("k y", None, "z", methods={"k": method}, bounds={"k": (0, 30)})
    for kind, word, bound in (
        ("x", "bounds", (-9, None)), ("size", "bounds", (0, None)), ("k", "bounds", (0, 40)),
        ("x", "censored", ("low", None)), ("x", "truncated", ("low", None)),
    ):  # fmt: skip
        for model in ("y", "bin", "gamma"):
            words = {"model": "glm", "family": sm.families.Gamma(sm.families.links.Log())} if model == "gamma" else {}
            words |= {word: {kind: bound}}
            found[f"{model} with {kind}, {word}"] = _asked(f"{model} {kind}", f"{model} ~ {kind} + z", "z low", **words)
    found |= {
        "outcome within": _asked("y x", "y ~ x", "z", bounds={"y": (-30, 30)}),
        "outcome that feeds within": _asked("y x aux", "y ~ x", "z", bounds={"y": (-30, 30)}),
        "count outcome within": _asked("count x", "count ~ x", "z", model="poisson", bounds={"count": (0, 50)}),
        "gamma outcome within": _asked(
            "gamma x", "gamma ~ x", "", model="glm", family=sm.families.Gamma(), bounds={"gamma": (0, 99)}
        ),
        "logarithm within": _asked("up x", "np.log(up) ~ x", "z", bounds={"up": (0.01, 90)}),
        "last auxiliary within": _asked("y x last", "y ~ x", "", bounds={"last": (-90, 90)}),
    }
    for method in ("pmm", "norm", "power", "sample"):
        found[f"condition on {method}"] = _condition(None, method)
    found["condition on a level"] = _condition(None, "logistic")
    found["condition on a term"] = _condition("y ~ x + z", "norm", congeniality="terms")
    for kind in ("x", "size", "flag", "k"):
        for formula, words in (
            (f"y ~ {kind} + z", {}), (f"y ~ {kind} + I(z**2) + I({kind}**2)", {}), (None, {}),
            (f"y ~ {kind} + z", {"bounds": {kind: (-50, 90)}}),
        ):  # fmt: skip
            if kind != "flag" or "bounds" not in words:
                found[f"id, {formula}, {kind}, {len(words)}"] = _by_id(kind, formula, words)
    for name in ("norm", "power", "logistic", "negbin"):
        kind = {"logistic": "flag", "negbin": "k"}.get(name, "x")
        for formula in (f"y ~ {kind} + z", f"y ~ I({kind}**2)", None):
            found[f"somebody's {name}, {formula}"] = _asked(f"y {kind}", formula, "z", methods={kind: Undeclared(name)})
        if kind != "flag":
            found[f"somebody's {name} within"] = _asked(
                f"y {kind}", f"y ~ {kind}", "", methods={kind: Undeclared(name)}, bounds={kind: (-50, 90)}
            )
    return found


def _condition(formula: Any, method: str, **words: Any) -> Callable[[], Arguments]:
    """A column that others have only where x, or flag, says so."""

    def made() -> Arguments:
        frame = lost(frame_of(), "y", "x", "flag")
        full = frame_of()
        where = full["flag"] == 1 if method == "logistic" else full["x"] > 0
        asked = pd.Series(np.where(where, full["k"] + 1, 0))
        frame["asked"] = asked.mask(np.random.default_rng(4).random(_N) < 0.2)
        code = "flag == 1" if method == "logistic" else "x > 0"
        given = {"conditional": {"asked": (code, 0)}, **words}
        if method != "logistic":
            given["methods"] = {"x": method}
        return Arguments(frame[["y", "x", "flag", "z", "asked"]], formula, given)

    return made


def _by_id(kind: str, formula: Any, words: dict[str, Any]) -> Callable[[], Arguments]:
    """A column that is constant within ids."""

    def made() -> Arguments:
        frame = frame_of()
        unit = np.repeat(np.arange(_N // 4), 4)
        frame[kind] = frame[kind].to_numpy()[unit]
        frame = lost(frame, "y").assign(unit=unit)
        gone = np.random.default_rng(5).random(_N // 4) < 0.25
        frame[kind] = frame[kind].mask(gone[unit])
        return Arguments(frame[["y", kind, "z", "unit"]], formula, {"id": "unit", **words})

    return made


def _skewed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same columns, the errors of y skewed, those of w with a spread that grows with x."""
    rng = np.random.default_rng(8)
    frame["x"] = rng.exponential(size=len(frame)) + 0.3 * frame["z"]
    frame["y"] = 0.4 * frame["x"] + 0.3 * frame["z"] + rng.exponential(size=len(frame))
    frame["aux"] = frame["x"] + rng.exponential(size=len(frame))
    frame["last"] = frame["x"] + np.exp(0.5 * frame["x"]) * rng.normal(size=len(frame))
    frame["w"] = frame["x"] + np.exp(0.5 * frame["x"]) * rng.normal(size=len(frame))
    return frame


def _learned() -> dict[str, Callable[[], Arguments]]:
    """Error laws that are learned, mixtures that were asked for, and numbers drawn from a mixed model."""

    def asked(incomplete: str, formula: Any, rest: str = "z", **words: Any) -> Callable[[], Arguments]:
        names = incomplete.split()
        learned = {} if formula is None else {"error_law": "learned"}
        frame = lost(_skewed(frame_of(n=4 * _N)), *names)
        return lambda: Arguments(frame[[*names, *rest.split()]], formula, {**learned, **words})

    within: dict[str, Any] = {"bounds": {"x": (-9, 30)}}
    mixture, own = {"methods": {"x": Mixture()}}, {"x": METHODS["norm"]}
    found = {
        "one learned law": asked("y x", "y ~ x + z", methods=own),
        "one learned law within": asked("y x", "y ~ x + z", methods=own, **within),
        "one learned law, a square": asked("y x", "y ~ x + I(x**2)", methods=own),
        "learned laws": asked("y x", "y ~ x + z"),
        "two learned laws": asked("y x aux", ["y ~ x + z", "aux ~ x"], methods=own),
        "one uneven law": asked("w x", "w ~ x + z", methods=own),
        "one uneven law within": asked("w x", "w ~ x + z", methods=own, **within),
        "one uneven law, a mixture of x": asked("w x", "w ~ x + z", **mixture),
        "one uneven law and a logit": asked("w bin x", ["w ~ x + z", "bin ~ x"], methods=own),
        "one uneven law beside another law": asked("w y x", ["w ~ x + z", "y ~ x + z"], methods=own),
        "two uneven laws": asked("w last x", ["w ~ x + z", "last ~ x + z"], methods=own),
        "three learned laws": asked("w y aux x", ["w ~ x + z", "y ~ x + z", "aux ~ x"], methods=own, **within),
        "a learned outcome alone": asked("y", "y ~ x + z", "x z"),
        "a learned outcome within": asked("y", "y ~ x + z", "x z", bounds={"y": (-9, 30)}),
        "a learned outcome that feeds": asked("y aux", "y ~ x + z", "x z"),
        "a mixture of x": asked("y x", "y ~ x + z", **mixture, error_law="declared"),
        "a mixture of x within": asked("y x", "y ~ x + z", **mixture, **within, error_law="declared"),
        "a mixture and learned laws": asked("y x aux", "y ~ x + z", **mixture),
        "plain mixture": asked("y x", None, **mixture),
        "plain mixture within": asked("y x", None, **mixture, **within),
        "plain mixture, weights": asked("y x", None, "z e", **mixture, weights="e"),
        "plain mixture, weights, within": asked("y x", None, "z e", **mixture, **within, weights="e"),
        "plain mixed": asked("y x", None, "z n", methods={"x": Mixed(unit="n")}),
        "plain mixed within": asked("y x", None, "z n", methods={"x": Mixed(unit="n")}, **within),
        "mixed outcome": asked("y x", "y ~ x + z", "z n", model="mixedlm", groups="n", error_law="auto"),
        "somebody's mixture": asked("y x", "y ~ x + z", methods={"x": Undeclared("mixture")}, error_law="declared"),
        "somebody's mixture within": asked("y x", None, methods={"x": Undeclared("mixture")}, **within),
    }

    def shared() -> Arguments:
        frame, unit = _skewed(frame_of(n=4 * _N)), np.repeat(np.arange(_N), 4)
        frame["x"] = frame["x"].to_numpy()[4 * unit]
        frame["y"] = 0.4 * frame["x"] + np.random.default_rng(8).exponential(size=4 * _N)
        gone = np.random.default_rng(5).random(_N) < 0.25
        frame = lost(frame, "y").assign(unit=unit, x=frame["x"].mask(gone[unit]))
        return Arguments(frame[["y", "x", "z", "unit"]], "y ~ x + z", {"id": "unit", "error_law": "learned"})

    return {**found, "a learned law by id": shared}


PLANS: dict[str, Callable[[], Arguments]] = {**_families(), **_shapes(), **_wishes(), **_learned()}
