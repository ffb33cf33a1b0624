"""Imputed sets whose traces are moved, so that they drift."""

import dataclasses

import numpy as np

from mifit.imputed import ImputedSet


def moved(imp, ramps):
    """The same set, some traces with a ramp over their sweeps, in units of their spread over chains."""
    chains = []
    for chain in imp._record.chains:
        traces = dict(chain.traces)
        for name, height in ramps.items():
            spread = np.std([c.traces[name][-1] for c in imp._record.chains])
            traces[name] = traces[name] + height * spread * np.linspace(0, 1, chain.sweeps)
        chains.append(dataclasses.replace(chain, traces=traces))
    return ImputedSet(imp._record.with_chains(chains))
