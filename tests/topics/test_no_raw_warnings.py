"""Columns of any size: results or refusals, and no warning of numpy's own."""

import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

import mifit

N = 60
FORMULAS = [
    "y ~ I(x * I(x * w)) + z", "y ~ x * w * z", "y ~ I(x**3) + w", "y ~ C(g) * x * w", "y ~ center(x) * w",
    "y ~ bs(x, df=4) + w", "b ~ x * w",
]  # fmt: skip


def frame(size, outcome):
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, N))
    data = pd.DataFrame({"y": outcome * (x + z + rng.normal(size=N)), "x": size * x, "z": z})
    data = data.assign(w=size * rng.uniform(1, 3, N), g=rng.choice(list("ab"), N), b=rng.integers(0, 2, N))
    data["x"] = data["x"].where(rng.random(N) > 0.2)
    return data


@pytest.mark.parametrize("size, outcome", [(1e100, 1.0), (1e150, 1e100), (1e-100, 1.0), (1e-100, 1e100)])
@pytest.mark.parametrize("formula", FORMULAS)
def test_a_column_of_any_size_gives_results_or_a_refusal_and_no_raw_warning(formula, size, outcome, capfd):
    data = frame(size, outcome)
    refused = {}
    for verb in ("plan", "impute"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", mifit.MifitWarning)
            try:
                made = getattr(mifit, verb)(data, formula, m=2, iterations=2, rng=1, progress=False)
                refused[verb] = None
            except mifit.MifitError as error:
                refused[verb] = str(error)
                continue
            if verb == "impute":
                made.check_values()
                str(made)
                made.check()
                with suppress(mifit.MifitError):
                    made.fit().summary()
    assert refused["plan"] == refused["impute"]
    said = capfd.readouterr()
    assert "illegal value" not in said.out + said.err  # LAPACK's own words


def test_a_product_whose_square_is_no_number_is_refused_with_a_line_that_cures_it():
    df = frame(1e100, 1.0)
    with pytest.raises(mifit.FormulaError, match="'x:w' has values of about 1e20") as caught:
        mifit.plan(df, "y ~ x * w")
    for _ in range(2):
        exec(str(caught.value).rpartition("do      : ")[2].strip(), {"df": df})
        try:
            mifit.plan(df, "y ~ x * w")
            return
        except mifit.FormulaError as error:
            caught = type("Caught", (), {"value": error})
    raise AssertionError("the line does not cure it")
