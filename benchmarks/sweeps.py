"""How many sweeps chains need until they have settled, with 0, 20 and 40 auxiliaries, as a markdown table.

Run ``python benchmarks/sweeps.py``; ``--help`` for the rest. Each frame is imputed by m chains of many sweeps; the
traces of the analysis' coefficients, and of means and shares of what is drawn for the covariates, are compared with
their second half.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import mifit
from support.scenarios import Loss, Scenario
from support.scenarios_auxiliaries import BASES, with_auxiliaries
from support.scenarios_linear import LINEAR


def _five(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Five correlated covariates of a linear analysis."""
    x = rng.normal(size=(n, 5)) + 0.8 * rng.normal(size=(n, 1))
    frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(1, 6)])
    return frame.assign(y=x.sum(axis=1) + 2 * rng.normal(size=n))


def five(level: float) -> Scenario:
    """The same share of each covariate missing, depending on the outcome: few rows have all."""
    losses = {f"x{k}": Loss("y", level, 0.5 * (-1) ** k) for k in range(1, 6)}
    truth = dict.fromkeys(losses, 1.0)
    return Scenario(_five, losses, "y ~ x1 + x2 + x3 + x4 + x5", truth, ("x1",), 1_000)


AT = (1, 2, 3, 5, 7, 10, 15, 20)
LESS, MORE = 0.0, 1.1  # log odds: a third of x1 missing, and six in ten
CASES: dict[str, Scenario] = (
    {
        f"{name}, {share} of x1 missing, {many} auxiliaries": with_auxiliaries(BASES[name], many, 1_000, more)
        for many in (0, 20, 40)
        for share, more in (("a third", LESS), ("six tenths", MORE))
        for name in ("OLS", "logit")
    }
    | {
        "five covariates, a quarter of each missing": five(-1.1),
        "five covariates, two fifths of each missing": five(-0.4),
    }
    | {name: LINEAR[name] for name in ("quadratic", "68 % missing", "log-normal covariate")}
)


def traces(scenario: Scenario, number: int, asked: argparse.Namespace) -> Iterator[np.ndarray]:
    """Traces of the coefficients and covariates of one frame, (m, sweeps) each."""
    holed = scenario.frames(np.random.default_rng([asked.seed, number]))[1]
    words = {"model": scenario.model, **scenario.keywords}
    rng = np.random.SeedSequence([asked.seed, number, 1])
    imp = mifit.impute(holed, scenario.formula, m=asked.m, iterations=asked.sweeps, rng=rng, **words)
    chains = imp._record.chains
    names = [f"({v.name})" for v in imp.plan.variables if v.role == "covariate"]
    for name in chains[0].traces:
        if name.startswith("beta") or any(name.endswith(end) for end in names):
            yield np.array([chain.traces[name] for chain in chains])


def settled(name: str, asked: argparse.Namespace) -> str:
    """The line of a case: distance from the settled mean after so many sweeps, and autocorrelation from sweep to sweep.

    The root mean square, over traces and frames, of the mean over chains less that of their second half, in standard
    deviations of a settled trace, less what chance adds; chance has a standard error of about 0.03 at 12 frames.
    """
    squares, lags, many = [], [], 0
    for number in range(asked.frames):
        for found in traces(CASES[name], number, asked):
            late = found[:, found.shape[1] // 2 :]
            spread, aim = late.std(), late.mean()
            if not spread > 0:
                continue
            off = (found[:, [k - 1 for k in AT]].mean(axis=0) - aim) / spread
            squares.append(off**2 - found[:, [k - 1 for k in AT]].var(axis=0, ddof=1) / spread**2 / asked.m)
            centred = late - late.mean(axis=1, keepdims=True)
            lags.append(np.mean(centred[:, 1:] * centred[:, :-1]) / np.mean(centred**2) + 1 / late.shape[1])
            many += number == 0
    mean = np.sign(np.mean(squares, axis=0)) * np.sqrt(np.abs(np.mean(squares, axis=0)))
    cells = [name, str(many), f"{np.mean(lags):.2f}", *(f"{one:.2f}" for one in mean)]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--m", type=int, default=10, help="chains of each frame")
    parser.add_argument("--sweeps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--names", nargs="*", default=list(CASES), help="cases; all unless named")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| case | traces | lag 1 | " + " | ".join(f"after {k}" for k in AT) + " |")
    print("|---|---:|---:|" + "---:|" * len(AT))
    for name in asked.names:
        print(settled(name, asked), flush=True)


if __name__ == "__main__":
    main()
