"""Small real data frames with missing values, each with its source.

============== ==== ======= ===== =====================================================
name           rows columns holes what it is
============== ==== ======= ===== =====================================================
airquality      153       6    44 daily air quality in New York, May to September 1973
antidepressant  608      11     3 an antidepressant against placebo, one row a visit
nhanes2          25       4    27 age group, body mass, hypertension and cholesterol
pbc             418      20  1033 the Mayo Clinic trial in primary biliary cholangitis
============== ==== ======= ===== =====================================================

Columns, units and codes are in ``README.md`` beside this file.

References
----------
Chambers, J. M., Cleveland, W. S., Kleiner, B. and Tukey, P. A. (1983). *Graphical Methods for Data Analysis*.
Wadsworth (airquality; measured by the New York State Department of Conservation and the National Weather Service).

Schafer, J. L. (1997). *Analysis of Incomplete Multivariate Data*. Chapman & Hall, p. 237 (nhanes2).

Fleming, T. R. and Harrington, D. P. (1991). *Counting Processes and Survival Analysis*. Wiley, Appendix D (pbc).

Goldstein, D. J., Lu, Y., Detke, M. J., Wiltse, C., Mallinckrodt, C. and Demitrack, M. A. (2004). Duloxetine in the
treatment of depression. *Journal of Clinical Psychopharmacology* 24(4), 389-399 (antidepressant).
"""

from __future__ import annotations

import difflib
from importlib.resources import files
from typing import Any

import pandas as pd

from ..errors import DataError, nearest

__all__ = ["load", "names"]

_AGE_GROUP = pd.CategoricalDtype(["20-39", "40-59", "60-99"], ordered=True)
_NO_YES = pd.CategoricalDtype(["no", "yes"])
_ARM = pd.CategoricalDtype(["DRUG", "PLACEBO"])
_GENDER = pd.CategoricalDtype(["F", "M"])
_INVESTIGATOR = pd.CategoricalDtype([
    "006", "009", "011", "012", "013", "017", "018", "019", "024", "025", "028", "030", "036", "037", "038", "124",
    "999",
])  # fmt: skip
_SEX = pd.CategoricalDtype(["m", "f"])

# Columns that are not float64; integers only where nothing is missing.
_DTYPES: dict[str, dict[str, Any]] = {
    "airquality": {"Temp": "int64", "Month": "int64", "Day": "int64"},
    "antidepressant": {
        **dict.fromkeys(["PATIENT", "HAMATOTL", "RELDAYS", "VISIT", "BASVAL", "HAMDTL17", "CHANGE"], "int64"),
        "THERAPY": _ARM,
        "GENDER": _GENDER,
        "POOLINV": _INVESTIGATOR,
    },
    "nhanes2": {"age": _AGE_GROUP, "hyp": _NO_YES},
    "pbc": {"id": "int64", "time": "int64", "status": "int64", "sex": _SEX},
}


def names() -> list[str]:
    """Return the names that :func:`load` knows, sorted.

    Examples
    --------
    >>> names()
    ['airquality', 'antidepressant', 'nhanes2', 'pbc']
    """
    return sorted(_DTYPES)


def load(name: str) -> pd.DataFrame:
    """Load a small incomplete frame to try things on.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    DataFrame
        A new frame at every call. Numbers are float64 (int64 where whole and complete), missing ones NaN;
        groups are categorical, ordered where the groups are. Columns are named as in the source: write
        ``Q('alk.phos')`` or ``Q('Solar.R')`` in a formula.

    Raises
    ------
    DataError
        If no frame has that name.

    Examples
    --------
    >>> load("nhanes2").head(3)
         age   bmi  hyp    chl
    0  20-39   NaN  NaN    NaN
    1  40-59  22.7   no  187.0
    2  20-39   NaN   no  187.0
    """
    if name not in _DTYPES:
        close = difflib.get_close_matches(str(name).lower(), names(), n=1) or ["nhanes2"]
        raise DataError(
            f"there is no data set called {name!r}{nearest(name, names())}.",
            known=", ".join(names()),
            do=f"mifit.datasets.load({close[0]!r})",
        )
    with files(__name__).joinpath(f"{name}.csv").open(encoding="utf-8") as source:
        text = pd.read_csv(source, dtype=str)
    # Text first: pandas before 3.1 reads the last bit of some decimals differently, a cast from text never does.
    return text.astype({column: _DTYPES[name].get(column, "float64") for column in text.columns})
