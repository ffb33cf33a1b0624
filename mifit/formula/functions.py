"""Functions that do no more than compute: what code from a file may call without being passed it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import patsy.builtins

from .source import EARLIER, HELPERS

__all__ = ["BUILTINS", "CONSTANTS", "GIVEN", "MODULES", "NUMPY", "PYTHON", "givable", "of_module", "trusted"]

BUILTINS = {name: getattr(patsy.builtins, name) for name in patsy.builtins.__all__}
#: functions of numpy besides its elementwise ones -> most positional arguments, keywords
NUMPY: dict[str, tuple[int, tuple[str, ...]]] = {
    "where": (3, ()), "clip": (3, ("a_min", "a_max", "min", "max")), "round": (2, ("decimals",)),
    "around": (2, ("decimals",)), "fix": (1, ()), "nan_to_num": (1, ("nan", "posinf", "neginf")),
    "isin": (2, ("invert",)), "interp": (3, ("left", "right", "period")), "digitize": (2, ("bins", "right")),
    "select": (3, ("default",)), "array": (1, ()), "asarray": (1, ()), "real": (1, ()), "imag": (1, ()),
    "sinc": (1, ()), "angle": (1, ("deg",)), "i0": (1, ()), "float64": (1, ()), "int64": (1, ()), "size": (1, ()),
    **dict.fromkeys(
        ("mean", "median", "std", "var", "min", "max", "amin", "amax", "sum", "prod", "nanmean", "nanmedian", "nanstd",
         "nanvar", "nanmin", "nanmax", "nansum", "ptp", "any", "all", "cumsum", "sort", "argsort", "unique", "isclose",
         "isreal", "iscomplex", "isneginf", "isposinf"),
        (1, ("ddof", "rtol", "atol")),
    ),
    **dict.fromkeys(("quantile", "percentile", "nanquantile", "nanpercentile"), (2, ("method",))),
    "isclose": (2, ("rtol", "atol")), "polyval": (2, ()), "searchsorted": (2, ("side",)),
}  # fmt: skip
CONSTANTS = ("pi", "e", "inf", "nan", "euler_gamma")
MODULES = ("numpy", "scipy.special", "scipy")


def _rounded(value: Any, decimals: int = 0) -> Any:
    """Python's round for numbers and arrays alike; what it returns is never one of Python's whole numbers."""
    return np.round(np.float64(value) if isinstance(value, int | float) else value, decimals)


#: Python's own functions that a file may call
PYTHON: dict[str, Any] = {
    "abs": abs,
    "bool": bool,
    "float": float,
    "len": len,
    "max": max,
    "min": min,
    "round": _rounded,
}


#: Python's own that a file may call if the reader passes them
GIVEN = ("all", "any", "complex", "int", "list", "set", "sorted", "str", "sum", "tuple")


def givable(path: Any) -> bool:
    """Whether a reader may be advised to pass what a dotted path names: no module of a file's choice, no eval.

    Examples
    --------
    >>> givable("mine:half"), givable("builtins:sum"), givable("builtins:eval"), givable("os;x:f")
    (True, True, False, False)
    """
    if not isinstance(path, str) or not all(map(str.isidentifier, path.replace(":", ".").split("."))):
        return False
    module, _, name = path.partition(":")
    return name in GIVEN if module == "builtins" else module.partition(".")[0] not in _SYSTEM


_SYSTEM = frozenset({
    "builtins", "cloudpickle", "code", "ctypes", "dill", "importlib", "io", "joblib", "marshal", "multiprocessing",
    "nt", "numexpr", "os", "pandas", "pathlib", "patsy", "pd", "pickle", "posix", "pty", "runpy", "shutil", "sm", "smf",
    "socket", "statsmodels", "subprocess", "sympy", "sys", "tempfile", "timeit", "torch", "urllib", "yaml",
})  # fmt: skip


def trusted(path: Any) -> bool:
    """Whether a dotted path may be followed because a file names it.

    Examples
    --------
    >>> trusted("numpy"), trusted("os:system"), trusted("numpy:load")
    (True, False, False)
    """
    if not isinstance(path, str):
        return False
    if path in (*MODULES, *HELPERS, *EARLIER):
        return True
    module, _, name = path.partition(":")
    if module == "patsy.builtins":
        return name in BUILTINS
    return module.partition(".")[0] in ("numpy", "scipy") and name in of_module(module)


@lru_cache(maxsize=4)
def of_module(module: str) -> Mapping[str, Any]:
    """What code from a file may use of a module, by name: of numpy and scipy.special what only computes."""
    if module == "numpy":
        plain = {name: getattr(np, name) for name in (*NUMPY, *CONSTANTS) if hasattr(np, name)}
        return {**plain, **_elementwise(np)}
    if module == "scipy.special":
        import scipy.special

        found = _elementwise(scipy.special)
        return {name: value for name, value in found.items() if value.nin == 1 or name in _QUICK}
    return {}


def _elementwise(module: types.ModuleType) -> dict[str, Any]:
    """The functions of a module that compute one number from each row."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, np.ufunc)}
    return {name: value for name, value in found.items() if value.nout == 1 and value.signature is None}


#: functions of scipy.special of several numbers that take no longer where the numbers are large: no orders, no counts
_QUICK = frozenset({
    "beta", "betaln", "boxcox", "boxcox1p", "chdtr", "chdtrc", "fdtr", "fdtrc", "gammainc", "gammaincc", "huber",
    "inv_boxcox", "inv_boxcox1p", "kl_div", "pseudo_huber", "rel_entr", "stdtr", "xlog1py", "xlogy",
})  # fmt: skip
