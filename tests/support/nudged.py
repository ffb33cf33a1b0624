"""Frames whose last digits are others, by 1e-14 of each value: what follows from them may differ by about as much."""

import numpy as np
import pandas as pd

_BITS = 7  # of 53: 2 ** 7 units of the last place are 1e-14 of a value


def nudged(frame, ties=False):
    """The same frame with other last bits in all floats that are not whole; nudged again it is the same.

    Whole numbers are left alone: every machine has them exactly. With ``ties`` equal values remain equal, as tied times
    do that come from one file.
    """
    frame = frame.copy()
    other = np.random.default_rng(5).integers(0, 2**_BITS, len(frame))
    for position, dtype in enumerate(frame.dtypes):
        if dtype == np.float64:
            values = frame.iloc[:, position].to_numpy(copy=True)
            rows = np.isfinite(values) & (values != np.rint(values))
            bits = values[rows].view(np.int64)
            kept = bits >> _BITS
            last = other[kept % len(other)] if ties else np.roll(other, position)[rows]
            values[rows] = ((kept << _BITS) | last).view(np.float64)
            frame.isetitem(position, pd.Series(values, index=frame.index))
    return frame
