"""The traces of a chain: what it notes after each sweep, from which is seen whether it has settled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from ...typing import Array
from .engine import Engine, FactorRuntime

__all__ = ["Traces", "spelled"]


def spelled(names: Iterable[Hashable]) -> dict[Hashable, str]:
    """Column names as traces spell them: as they print, or as code where two print alike.

    Examples
    --------
    >>> spelled(["x", 1, "1"])
    {'x': 'x', 1: '1', '1': "'1'"}
    """
    names = list(names)
    printed = Counter(map(str, names))
    return {name: str(name) if printed[str(name)] == 1 else repr(name) for name in names}


class Traces:
    """Mean and spread of what was drawn, shares of levels, and the analysis coefficients, sweep by sweep.

    Parameters
    ----------
    engine : Engine
    before : mapping, optional
        Trace -> (sweeps,) of the chain that goes on.
    """

    def __init__(self, engine: Engine, before: Mapping[str, Array] | None = None) -> None:
        self.engine = engine
        self._spelled = spelled(engine.plan.columns)
        self._past = {name: list(values) for name, values in (before or {}).items()}
        self._own: dict[Hashable, list[list[float]]] = {}  #: of each variable, among the past

    def of_values(self, values: Mapping[Hashable, Array]) -> None:
        """Note what was drawn in a sweep; ``values`` are whole columns, (n,) each."""
        for name in self.engine.plan.order:
            column = self.engine.table[name]
            drawn, traced = values[name][column.missing], self._traced(name)
            if column.kind.discrete:
                shares = np.bincount(drawn.astype(np.int64), minlength=column.n_levels) / len(drawn)
                for trace, share in zip(traced, shares.tolist(), strict=True):
                    trace.append(share)
            else:
                mean = drawn.sum() / len(drawn)
                apart = drawn - mean
                traced[0].append(float(mean))
                traced[1].append(math.sqrt(apart @ apart / max(len(drawn) - 1, 1)))

    def of_analysis(self, runtime: FactorRuntime, fitted: Any, outcome: str) -> None:
        """Note the coefficients of an analysis, from centred and scaled columns back to the user's; its variances."""
        self.of_clusters(runtime, fitted, outcome)
        layout, number = self.engine.layout, runtime.factor.question or 0
        columns = runtime.model.columns
        for level, coef in enumerate(np.atleast_2d(fitted.coef.T), start=1):
            slope = getattr(fitted, "scale", 1.0) * coef / layout.scale[columns]
            shift = getattr(fitted, "centre", 0.0) - float(slope @ layout.centre[columns])
            by_place = dict(zip(columns.tolist(), slope.tolist(), strict=True))
            ahead = outcome + (f"{level}:" if fitted.coef.ndim > 1 else "")
            for name, place in zip(self.engine.designs[number].names, layout.formula[number], strict=True):
                if place in by_place and not (place == 0 and hasattr(fitted, "cuts")):
                    value = by_place[place] + (shift if place == 0 else 0.0)
                    self._past.setdefault(f"beta({ahead}{name})", []).append(value)

    def of_clusters(self, runtime: FactorRuntime, fitted: Any, outcome: str) -> None:
        """Note the logarithms of variances between clusters, columns as they are centred, and within."""
        clusters, layout = runtime.clusters, self.engine.layout
        if clusters is None or fitted.effects is None:
            return
        root = getattr(fitted, "root", None)
        if root is None:
            found = {"": 2 * fitted.log_sd}
        else:
            logs = np.log(np.sum(root**2, axis=1) * (fitted.sigma * fitted.scale) ** 2)
            logs -= 2 * np.log(layout.scale[clusters.places])
            words = ["" if place == 0 else f"{layout.label(place)} by " for place in clusters.places.tolist()]
            found = {
                **dict(zip(words, logs.tolist(), strict=True)),
                "residual": 2 * np.log(fitted.sigma * fitted.scale),
            }
        for word, value in found.items():
            name = word if word == "residual" else f"{word}{runtime.method.unit}"
            self._past.setdefault(f"log var({outcome}{name})", []).append(float(value))

    def arrays(self) -> dict[str, Array]:
        """All traces by name, (sweeps,) each."""
        return {name: np.asarray(values) for name, values in self._past.items()}

    def _traced(self, name: Hashable) -> list[list[float]]:
        """Traces of a variable: the share of each level, or mean and spread."""
        if name not in self._own:
            column, shown = self.engine.table[name], self._spelled[name]
            shares = [f"share({shown} = {level})" for level in column.coding.levels]
            words = shares if column.kind.discrete else [f"mean({shown})", f"sd({shown})"]
            self._own[name] = [self._past.setdefault(word, []) for word in words]
        return self._own[name]
