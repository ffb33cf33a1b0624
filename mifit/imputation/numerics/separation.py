"""Independent columns, observed levels, and augmentation rows that keep slopes finite, for one fit.

Some data are explained perfectly by a predictor (a rare level whose rows all have the same outcome). The likelihood
then has no maximum: it rises for ever, and the estimates and their standard errors with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from ...typing import Array
from .linear import independent

__all__ = ["AUGMENTED", "NEVER", "Columns", "Extra", "augmentation", "columns", "marginal", "narrowed", "observed"]

NEVER = (
    200.0  #: log odds of an unobserved level: e^−200 is smaller than any uniform random number, so it is never drawn
)
_NARROW = 8  # columns up to which arithmetic runs faster down them than along the rows
AUGMENTED = "separation: augmented with {} rows (White, Daniel & Royston 2010)"

Codes = npt.NDArray[np.int64]


class Columns(NamedTuple):
    """The independent columns of a design."""

    X: Array  #: (n_fit, q)
    kept: Codes  #: (q,) their positions in the design
    unit: Array  #: (q,) variances of their coefficients were all weights 1, the diagonal of (X'X)^-1
    dropped: tuple[int, ...]  #: terms that depend on the ones before them

    @property
    def events(self) -> tuple[str, ...]:
        """Events about dropped columns."""
        many = len(self.dropped)
        return (f"dropped {many} dependent term{'s' if many > 1 else ''}",) if many else ()


class Extra(NamedTuple):
    """Augmentation rows."""

    X: Array  #: (n_extra, q)
    level: Codes  #: (n_extra,) position among the observed levels
    weight: float  #: of each row; together p + 1 rows


def columns(X: Array, terms: Codes, squares: tuple[Array, Array | None] | None = None) -> Columns:
    """Return the columns of X, shape (n_fit, p), that do not depend on earlier ones, terms dropped whole.

    ``squares`` are its cross-products and what rows were subtracted from, where they are known.
    """
    xx, before = squares or (X.T @ X, None)
    kept, root, size, dropped = independent(xx, terms, before)
    inverse = lapack.dtrtri(root, lower=1)[0] if len(kept) else root
    unit = np.einsum("ij,ij->j", inverse, inverse) / size**2
    found = X if len(kept) == X.shape[1] else X[:, kept]
    return Columns(narrowed(found), kept, unit, dropped)


def narrowed(X: Array) -> Array:
    """A design laid out by columns where these are few."""
    return np.asfortranarray(X) if X.shape[1] <= _NARROW else X


def observed(y: Array, n_levels: int) -> tuple[Codes, Codes, Array, tuple[str, ...]]:
    """Find the levels that occur.

    Parameters
    ----------
    y : ndarray, shape (n_fit,)
        Level codes 0..K-1.
    n_levels : int
        K.

    Returns
    -------
    levels : ndarray, shape (L,)
        Codes that occur, sorted.
    position : ndarray, shape (n_fit,)
        Each row's position among them.
    count : ndarray, shape (L,)
        Rows at each.
    events : tuple of str
        One line when a level is empty.
    """
    codes = y.astype(np.int64)
    count = np.bincount(codes, minlength=n_levels)
    levels = count.nonzero()[0]
    position = codes if len(levels) == len(count) else np.searchsorted(levels, codes)
    empty = max(n_levels, len(count)) - len(levels)
    events = (f"{empty} level{'s' if empty > 1 else ''} without a row to fit on: never drawn",) if empty else ()
    if not len(levels):
        events = ("no row to fit on: every level equally likely",)
    return levels, position, count[levels].astype(np.float64), events


def augmentation(X: Array, n_levels: int, first: int = 1) -> Extra:
    """Make augmentation rows that shrink every slope slightly towards 0, so that it is finite.

    For every predictor and level, two rows: the predictor at its mean plus and minus half a standard deviation
    (within its range), the others at their means. Together they weigh as much as p + 1 rows.

    Parameters
    ----------
    X : ndarray, shape (n_fit, q)
        Design; its columns from `first` on are the p predictors.
    n_levels : int
        Observed levels L of the variable.
    first : int, default 1
        Columns before this one are constant.

    Returns
    -------
    Extra
        2 p L rows; none where there is no predictor.

    References
    ----------
    White, I. R., Daniel, R. and Royston, P. (2010). Avoiding bias due to perfect prediction in multiple
    imputation of incomplete categorical variables. *Computational Statistics & Data Analysis* 54(10), 2267-2275,
    section 5. doi:10.1016/j.csda.2010.04.005
    """
    centre, p = X.mean(axis=0), X.shape[1] - first
    reach = X.std(axis=0) / 2
    ends = np.clip([centre - reach, centre + reach], X.min(axis=0), X.max(axis=0))
    block = np.tile(centre, (2, p, 1))
    slopes = np.arange(p)
    block[:, slopes, first + slopes] = ends[:, first:]
    rows = np.tile(block.reshape(2 * p, X.shape[1]), (n_levels, 1))
    return Extra(rows, np.repeat(np.arange(n_levels), 2 * p), (p + 1) / max(len(rows), 1))


def marginal(count: Array) -> Array:
    """Log odds of each observed level against the first, without predictors, shape (L - 1,)."""
    return np.log(count[1:] / count[0])
