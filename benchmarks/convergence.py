"""How often the drift test speaks on settled chains, and on chains that have not settled, as a markdown table.

Run ``python benchmarks/convergence.py`` for both; ``--help`` for the rest. Settled chains are those of the scenarios of
``tests/support/scenarios.py`` at their default number of sweeps. Unsettled ones start as if two columns were
unrelated, on frames where a row seldom has both, and are stopped early.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import mifit
from mifit.examine.convergence import convergence
from mifit.imputation.sampler.chain import Chain
from mifit.imputation.sampler.runs import run
from mifit.imputation.seed import Seed
from support.scenarios import Scenario
from support.scenarios_likelihoods import LIKELIHOODS
from support.scenarios_linear import LINEAR

SCENARIOS = {**LINEAR, **LIKELIHOODS}
SIZES = (5, 10, 20)  # chains side by side
SWEEPS = (5, 10, 20, 40)
SETTLED = 100  # sweeps after which nothing is left of any start


def settled(scenario: Scenario, frames: int, seed: int, iterations: int | None = None) -> list[pd.DataFrame]:
    """Tables of convergence of one imputation a frame, for each number of chains; one row a trace.

    Returns
    -------
    list of DataFrame
        With columns ``frame`` and ``m``.
    """
    tables = []
    for number in range(frames):
        holed = scenario.frames(np.random.default_rng([seed, number]))[1]
        imp = mifit.impute(
            holed, scenario.formula, m=max(SIZES), iterations=iterations, rng=np.random.SeedSequence([seed, number, 1])
        )
        tables += [_table(imp, imp._record.chains[:m]).assign(frame=number, m=m) for m in SIZES]
    return tables


def unsettled(frames: int, seed: int) -> pd.DataFrame:
    """What the drift test says of chains that start as if two columns had nothing to do with each other.

    Returns
    -------
    DataFrame
        Columns ``frame``, ``sweeps``, ``m``, ``off`` (the slope, less that of chains of 100 sweeps, in standard
        deviations over those) and ``alarm``.
    """
    rows = []
    for number in range(frames):
        holed = pair(np.random.default_rng([seed, number]))
        imp = mifit.impute(holed, "z ~ x", m=max(SIZES), iterations=SETTLED, rng=np.random.SeedSequence([seed, number]))
        aim = np.array([chain.traces["beta(x)"][-1] for chain in imp._record.chains])
        other, chains = Seed(seed, (number, 1)), [_unrelated(chain, imp) for chain in imp._record.chains]
        for sweeps in SWEEPS:
            chains = run(imp._record.table.filled, imp.plan, range(len(chains)), sweeps, other, before=chains)
            left = (np.mean([chain.traces["beta(x)"][-1] for chain in chains]) - aim.mean()) / aim.std(ddof=1)
            tables = {m: _table(imp, chains[:m]) for m in SIZES}
            rows += [(number, sweeps, m, left, (t["verdict"] == "drifts").any()) for m, t in tables.items()]
    return pd.DataFrame(rows, columns=["frame", "sweeps", "m", "off", "alarm"])


def pair(rng: np.random.Generator, n: int = 300, rho: float = 0.9, both: float = 0.1) -> pd.DataFrame:
    """Two columns with correlation rho, of which a row has one or the other, seldom both."""
    x, noise = rng.normal(size=(2, n))
    frame = pd.DataFrame({"x": x, "z": rho * x + np.sqrt(1 - rho**2) * noise})
    kept = rng.choice(3, n, p=[both, (1 - both) / 2, (1 - both) / 2])
    return frame.assign(x=frame["x"].mask(kept == 1), z=frame["z"].mask(kept == 2))


def _unrelated(chain: Chain, imp: mifit.ImputedSet) -> Chain:
    """A chain before its first sweep, every missing value an observed value of its column at random."""
    rng, table = np.random.default_rng(chain.number), imp._record.table.filled
    holes = {name: rng.choice(table[name].values[table[name].observed], len(v)) for name, v in chain.imputed.items()}
    return Chain(chain.number, 0, holes, {}, {})


def _table(imp: mifit.ImputedSet, chains: list[Chain]) -> pd.DataFrame:
    """The table of convergence of some chains of a set."""
    return convergence(chains, imp.plan, imp._record.table.filled)


def _percent(alarms: pd.Series) -> str:
    """A share in percent, with its standard error."""
    share = alarms.mean()
    return f"{100 * share:.1f} ({100 * (share * (1 - share) / len(alarms)) ** 0.5:.1f})"


def main() -> None:
    """Measure what is asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100, help="of each scenario")
    parser.add_argument("--unsettled", type=int, default=30, help="frames on which chains are stopped early")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--names", nargs="*", default=list(SCENARIOS), help="scenarios; all unless named")
    asked = parser.parse_args()

    print("| settled chains | traces | " + " | ".join(f"m = {m}" for m in SIZES) + " |")
    print("|---|---:|" + "---:|" * len(SIZES))
    everything = []
    for name in asked.names:
        found = pd.concat(settled(SCENARIOS[name], asked.frames, asked.seed))
        alarms = (found["verdict"] == "drifts").groupby([found["m"], found["frame"]]).any()
        everything.append(alarms)
        traces = found.index.nunique()
        print(f"| {name} | {traces} | " + " | ".join(_percent(alarms[m]) for m in SIZES) + " |", flush=True)
    together = pd.concat(everything)
    print("| all | | " + " | ".join(_percent(together[m]) for m in SIZES) + " |\n")

    found = unsettled(asked.unsettled, asked.seed)
    print("| unsettled chains | still off, sd | " + " | ".join(f"m = {m}" for m in SIZES) + " |")
    print("|---|---:|" + "---:|" * len(SIZES))
    for sweeps, some in found.groupby("sweeps"):
        shares = " | ".join(_percent(some.loc[some["m"] == m, "alarm"]) for m in SIZES)
        print(f"| {sweeps} sweeps | {some['off'].mean():.1f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
