"""A small frame, and a check of the error that a call on it must give."""

import numpy as np
import pandas as pd
import pytest

from mifit import (
    DataError,
    FitError,
    ImputationError,
    MifitError,
)

N = 80


def study():
    """Numbers, text and two values; x, y and b have missing values."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=N) * 3,
            "x": rng.normal(size=N),
            "z": rng.normal(size=N),
            "g": rng.choice(list("abc"), N),
            "b": rng.choice(["no", "yes"], N),
        }
    )
    frame.loc[:20, "x"] = np.nan
    frame.loc[30:36, "y"] = np.nan
    frame.loc[40:50, "b"] = None
    return frame


def check(call, kind, said, do=None):
    """Run a call that must fail; look at its first and its last line."""
    with pytest.raises(MifitError) as caught:
        call()
    error = caught.value
    assert type(error) is kind, error
    lines = str(error).splitlines()
    assert said in lines[0], error
    assert error.do and lines[-1].strip().startswith("do") and lines[-1].endswith(error.do), error
    if do is not None:
        assert error.do == do
    assert error.__cause__ is None or kind in (FitError, ImputationError, DataError)
    assert len(lines) <= 6
    return error


def of(options, frame=None, formula=None):
    """A call of impute on the study."""
    return lambda: (study() if frame is None else frame()).mice.impute(formula, **{"m": 2, "rng": 1, **options})
