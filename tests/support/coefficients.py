"""Coefficients of a user's columns as coefficients of the columns that a chain works on."""

import numpy as np


def coefficients(layout, model, by_name):
    """Coefficients for the columns of the store from those for the columns of the user, by label or (label, level)."""
    slots = [layout.slots[c] for c in model.columns]
    raw = np.array([np.asarray(by_name.get((s.label, s.level), by_name.get(s.label, 0.0)), dtype=float) +
                    np.zeros(np.shape(next(iter(by_name.values())))) for s in slots])  # fmt: skip
    centre, scale = layout.centre[model.columns], layout.scale[model.columns]
    found = (raw.T * scale).T
    if model.columns[0] == 0:
        found[0] += np.tensordot(centre, raw, axes=1)
    return found
