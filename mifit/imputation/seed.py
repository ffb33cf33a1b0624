"""Seed: where the random streams of an imputation come from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Seed"]

_AGAIN = 1_000_000_000  # beyond the numbers of chains and groups


class Seed(NamedTuple):
    """Where the random streams of an imputation come from."""

    entropy: Any
    key: tuple[int, ...] = ()

    def stream(self, *numbers: int) -> np.random.Generator:
        """The generator of one sweep of one chain; with a third number, of what is drawn after that sweep."""
        return np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=(*self.key, *numbers)))

    def child(self, place: int) -> Seed:
        """The seed of a group, as if it were imputed alone."""
        return Seed(self.entropy, (*self.key, place))

    def again(self, attempt: int) -> Seed:
        """The seed of a chain that is drawn again, for the so many-th time; itself for none."""
        return self if not attempt else Seed(self.entropy, (*self.key, _AGAIN + attempt))
