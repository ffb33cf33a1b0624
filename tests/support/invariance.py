"""Kernel invariance (Gandy and Scott 2020): sweeps that begin at a joint draw of parameters and values end at one."""

import numpy as np
import pandas as pd

from mifit.frame.kinds import Kind
from mifit.frame.table import read
from mifit.imputation.contract import Clusters, Visit
from mifit.imputation.methods import Mixed, MixedLogistic, Normal
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.engine import Engine


class TwoLevels:
    """Six complete clusters of four, six with missing values; x of rows, w of clusters, y the outcome.

    Parameters are drawn given the complete clusters, so that their prior is proper; the others are simulated from
    them, values are hidden, and sweeps start from the true ones. Every function of the data keeps its mean.
    """

    def __init__(
        self, columns, random, hide=("x", "w"), share=0.45, seed=5, clusters=(6, 6), rows=4, whole=0, binary=False
    ):
        """``columns(x, w)``: those of the analysis; ``random``: positions among them of what differs by cluster."""
        self.columns, self.random, self.hide, self.binary = columns, list(random), hide, binary
        rng = np.random.default_rng(seed)
        self.known, many = clusters[0], sum(clusters)
        self.g = np.repeat(np.arange(many), rows)
        self.old = self.g < self.known
        self.w0 = rng.normal(size=self.known)
        n0 = int(self.old.sum())
        level = self.g[self.old]
        self.x0 = 0.3 * self.w0[level] + rng.normal(size=n0) + 0.5 * rng.normal(size=self.known)[level]
        if binary:
            self.x0 = (self.x0 > 0).astype(float)
        X = columns(self.x0, self.w0[level])
        own = 0.6 * rng.normal(size=(self.known, len(self.random)))
        coef = np.array([0.2, 0.6, 0.5, 0.4, 0.2])[: X.shape[1]]
        self.y0 = X @ coef + (X[:, self.random] * own[level]).sum(axis=1) + 0.8 * rng.normal(size=n0)
        new = np.flatnonzero(~self.old)
        self.missing = {name: np.zeros(len(self.g), dtype=bool) for name in hide}
        for name in set(hide) - {"w"}:
            self.missing[name][new] = rng.random(len(new)) < share
            self.missing[name][self.g >= many - whole] = name == "x" or self.missing[name][self.g >= many - whole]
        if "w" in hide:
            self.missing["w"] = ~self.old & (self.g % 2 == 0)

    def drawn(self, rng):
        """Parameters given the complete clusters: of y, of x, of w; what a chain's warm start holds of the first."""
        level = self.g[self.old]
        one = np.ones((len(level), 1))

        def fit(method, y, X, Z=None, kind=Kind.NUMERIC):
            clusters = None if Z is None else Clusters(level, len(np.unique(self.g)), Z)
            visit = Visit(y, X, np.arange(X.shape[1]), kind, 2 * (kind is Kind.BINARY), clusters=clusters)
            return method.fit(visit, rng)

        X = self.columns(self.x0, self.w0[level])
        of_y = fit(Mixed(unit="g"), self.y0, X, X[:, self.random])
        model = (MixedLogistic(unit="g"), Kind.BINARY) if self.binary else (Mixed(unit="g"), Kind.NUMERIC)
        of_x = fit(model[0], self.x0, np.column_stack([one, self.w0[level]]), one, model[1])
        of_w = fit(Normal(), self.w0, np.ones((self.known, 1)))
        return of_y, of_x, of_w

    def simulated(self, rng):
        """A frame from the joint law, and the warm start of the model of y."""
        of_y, of_x, of_w = self.drawn(rng)
        many = int(self.g.max()) + 1
        w = of_w.sample(np.ones((many, 1)), rng)
        w[: self.known] = self.w0
        x = self._from(of_x, np.column_stack([np.ones(len(self.g)), w[self.g]]), [0], rng)
        x[self.old] = self.x0
        y = self._from(of_y, self.columns(x, w[self.g]), self.random, rng)
        y[self.old] = self.y0
        return {"g": self.g, "x": x, "w": w[self.g], "y": y}, (of_y.warm, of_x.warm)

    def _from(self, fitted, X, random, rng):
        """Values of all rows, with new effects of every cluster."""
        if hasattr(fitted, "log_sd"):
            own = np.exp(fitted.log_sd) * rng.standard_normal(int(self.g.max()) + 1)
            return fitted.sample(X, rng, own[self.g])
        own = fitted.sigma * rng.standard_normal((int(self.g.max()) + 1, len(random))) @ fitted.root.T
        added = (X[:, random] * own[self.g]).sum(axis=1)
        return fitted.sample(X, rng) + fitted.scale * added

    def summaries(self, data):
        """Bounded functions of what was hidden and of what it goes with."""
        x, w, y = (data[name] for name in "xwy")
        found = []
        for name in self.hide:
            v, at = data[name], self.missing[name]
            found += [v[at].mean(), (v[at] ** 2).mean() / 3]
            found += [(v * other)[at].mean() / 3 for other in (x, w, y) if other is not v]
            sums = [np.bincount(self.g, other) for other in (x, y)]
            found += [(v * one[self.g])[at].mean() / 9 for one in sums]
        return np.tanh(found)

    def scores(self, formula, words, reps, seed=1, sweeps=2):
        """Paired differences over their standard errors, one of each function."""
        rng, found, plan = np.random.default_rng(seed), [], None
        for _ in range(reps):
            data, warm = self.simulated(rng)
            frame = pd.DataFrame({k: np.where(self.missing.get(k, False), np.nan, v) for k, v in data.items()})
            if plan is None:
                plan = frame.mice.plan(formula, groups="g", auxiliary="ignore", **words)
            engine = Engine(read(frame), plan)
            engine.layout.centre[:], engine.layout.scale[:] = 0.0, 1.0  # the prior does not depend on the data
            state = ChainState(engine, None)
            state.fill({name: data[name][engine.table[name].missing] for name in plan.order})
            state.warm |= {("factor", k): one for k, one in enumerate(warm[: len(engine.factors)]) if one is not None}
            for sweep in range(2, sweeps + 2):
                state.sweep(rng, sweep)
            found.append(self.summaries({**data, **state.values}) - self.summaries(data))
        found = np.array(found)
        return found.mean(axis=0) / (found.std(axis=0) / np.sqrt(reps))
