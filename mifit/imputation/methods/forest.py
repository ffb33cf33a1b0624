"""Trees and forests: an imputed value is that of an observed row in the same leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import ImputationError, PlanError, call
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from .donor_residuals import DonorResiduals
from .estimators import DOOVE
from .learner import Learner

__all__ = ["Cart", "Forest", "ForestFitted"]

_SEEDS = 2**31 - 1


class _Grown(NamedTuple):
    """One tree, and the rows that lie in each of its leaves."""

    tree: Any  #: of scikit-learn; ``apply`` gives the node in which a row ends
    rows: npt.NDArray[np.int64]  #: (n_donors,) rows of the fit, leaf after leaf
    first: npt.NDArray[np.int64]  #: (n_nodes + 1,) where the rows of a node begin

    def leaves(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Node in which each row ends, shape (len(X),)."""
        return np.asarray(self.tree.apply(X), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ForestFitted:
    """Trees grown on bootstrap samples, with the values of the fit rows."""

    grown: tuple[_Grown, ...]
    values: Array  #: (n_fit,)
    events: tuple[str, ...] = ()
    warm: Any = None

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one observed value per row, shape (n_draw,)."""
        return self._among(X, rng, None)

    def sample_within(self, X: Array, rng: np.random.Generator, low: Array, high: Array) -> Array:
        """Draw one observed value per row among those between its bounds, each (n_draw,)."""
        bounds, group = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
        good = (bounds[:, :1] <= self.values) & (self.values <= bounds[:, 1:])
        return self.sample_among(X, rng, good, group.reshape(-1))

    def sample_among(
        self, X: Array, rng: np.random.Generator, good: npt.NDArray[np.bool_], group: npt.NDArray[np.int64]
    ) -> Array:
        """Draw one observed value per row among the donors ``good``, (n_groups, n_fit), of its group, (n_draw,)."""
        out = np.empty(len(X))
        for number, some in enumerate(good):
            rows = np.flatnonzero(group == number)
            if len(rows) and not some.any():
                raise ImputationError(
                    f"no observed value may stand in {len(rows)} of the missing values: no leaf holds one.",
                    do=call("df.mice.plan").after("plan = "),
                )
            out[rows] = self._among(X[rows], rng, some)
        return out

    def _among(self, X: Array, rng: np.random.Generator, good: npt.NDArray[np.bool_] | None) -> Array:
        """One value per row from a leaf of a random tree; if none there is good, of the next tree, and so on."""
        n, n_trees = len(X), len(self.grown)
        X32 = X.astype(np.float32)
        start = rng.integers(0, max(n_trees, 1), n)
        share, out, waiting = rng.random(n), np.empty(n), np.ones(n, dtype=np.bool_)
        for turn in range(n_trees):
            for number, one in enumerate(self.grown):
                at = np.flatnonzero(waiting & ((start + turn) % n_trees == number))
                if not len(at):
                    continue
                rows, first = (one.rows, one.first) if good is None else _kept(one, good)
                leaf = one.leaves(X32[at])
                many = first[leaf + 1] - first[leaf]
                has = many > 0
                chosen = rows[first[leaf[has]] + (share[at[has]] * many[has]).astype(np.int64)]
                out[at[has]], waiting[at[has]] = self.values[chosen], False
            if not waiting.any():
                return out
        left = np.flatnonzero(waiting)
        donors = np.arange(len(self.values)) if good is None else np.flatnonzero(good)
        out[left] = self.values[donors[(share[left] * len(donors)).astype(np.int64)]]
        return out


def _kept(one: _Grown, good: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and beginnings of the leaves of a tree without those that are not good."""
    stays = good[one.rows]
    return one.rows[stays], np.concatenate([[0], np.cumsum(stays)])[one.first]


def _grow(visit: Visit, rng: np.random.Generator, trees: int, min_leaf: int, share: float) -> tuple[_Grown, ...]:
    """Grow trees, each on a bootstrap sample of the fit rows, which lie in its leaves.

    Parameters
    ----------
    visit : Visit
    rng : Generator
    trees : int
    min_leaf : int
        Fewest different rows in a leaf.
    share : float
        Of the predictors, tried at each split.
    """
    import sklearn
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    nominal = visit.kind is Kind.NOMINAL
    made = DecisionTreeClassifier if nominal else DecisionTreeRegressor
    X = np.ascontiguousarray(visit.X, dtype=np.float32)
    y = visit.y.astype(np.int64) if nominal else visit.y
    n, width = X.shape
    weights = None if visit.weights is None else visit.weights / visit.weights.sum()
    options = {"min_samples_leaf": min_leaf, "max_features": max(1, int(np.ceil(share * (width - 1))))}
    found = []
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for _ in range(trees):
            drawn = np.sort(rng.integers(0, n, n) if weights is None else rng.choice(n, n, p=weights))
            counts = np.bincount(drawn, minlength=n)
            inside = np.flatnonzero(counts)
            model = made(**options, random_state=int(rng.integers(_SEEDS)))
            model.fit(X[inside], y[inside], sample_weight=counts[inside].astype(np.float64))
            leaf = model.tree_.apply(X[inside])
            first = np.bincount(leaf, weights=counts[inside], minlength=model.tree_.node_count).astype(np.int64)
            order = np.argsort(np.repeat(leaf, counts[inside]), kind="stable")
            found.append(_Grown(model.tree_, drawn[order], np.concatenate([[0], np.cumsum(first)])))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Forest:
    """Draw the value of an observed row that lies in the same leaf of a random tree.

    Finds interactions, curves and thresholds that nobody wrote down, for columns of every kind. It never leaves the
    observed values and has no density.

    Parameters
    ----------
    trees : int, default 10
    min_leaf : int, default 5
        Fewest observed rows in a leaf.
    features : float, default 0.5
        Share of the predictors among which each split is looked for.

    Notes
    -----
    1. Each tree is grown on its own bootstrap sample of the observed rows.
    2. A missing row falls into a leaf of a tree that is chosen at random for it, and one of the rows of the sample in
       that leaf gives its value.

    Trees are those of scikit-learn, the extra ``sklearn``. A forest sees an interaction smaller than it is, the more so
    the fewer rows there are: where the analysis is known, a compatible draw is better.

    References
    ----------
    Doove, L. L., van Buuren, S. and Dusseldorp, E. (2014). Recursive partitioning for missing data imputation in the
    presence of interaction effects. *CSDA* 72, 92-104, algorithm of section 2.3. doi:10.1016/j.csda.2013.10.025
    Shah, A. D., Bartlett, J. W., Carpenter, J., Nicholas, O. and Hemingway, H. (2014). Comparison of random forest and
    parametric imputation models. *American Journal of Epidemiology* 179(6), 764-774. doi:10.1093/aje/kwt312

    Examples
    --------
    >>> import mifit
    >>> imp = mifit.impute(mifit.datasets.load("nhanes2"), methods={"bmi": Forest(trees=20)}, m=2, rng=1)
    >>> imp.plan["bmi"].label
    'forest'
    """

    trees: int = 10
    min_leaf: int = 5
    features: float = 0.5
    kinds: ClassVar[frozenset[Kind]] = frozenset(set(Kind) - {Kind.OTHER})
    reference: ClassVar[str] = (
        f"{DOOVE}\n"
        "Shah, A. D., Bartlett, J. W., Carpenter, J., Nicholas, O. and Hemingway, H. (2014). Comparison of random "
        "forest and parametric imputation models. American Journal of Epidemiology 179(6), 764-774. "
        "doi:10.1093/aje/kwt312"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(donors=True), density=False, unseen=False, weighted=True, needs="sklearn",
        called="random forests, whose leaves hold the donors",
    )  # fmt: skip

    def __post_init__(self) -> None:
        _refuse(self.min_leaf, self.features, "Forest", self.trees)

    def compatible(self, kind: Kind) -> Any:
        """The method with a density that it is in a compatible plan: a forest's mean or probabilities."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        options = {"n_estimators": self.trees, "min_samples_leaf": self.min_leaf, "max_features": self.features}
        if kind.discrete:
            return Learner(RandomForestClassifier(**options))
        return DonorResiduals(RandomForestRegressor(**options))

    def fit(self, visit: Visit, rng: np.random.Generator) -> ForestFitted:
        """Grow the trees."""
        return ForestFitted(_grow(visit, rng, self.trees, self.min_leaf, self.features), visit.y.copy())


@dataclass(frozen=True, slots=True)
class Cart:
    """Draw the value of an observed row that lies in the same leaf of one tree, grown on a bootstrap sample.

    Parameters
    ----------
    min_leaf : int, default 5
        Fewest observed rows in a leaf.

    References
    ----------
    Burgette, L. F. and Reiter, J. P. (2010). Multiple imputation for missing data via sequential regression trees.
    *American Journal of Epidemiology* 172(9), 1070-1076. doi:10.1093/aje/kwq260
    """

    min_leaf: int = 5
    kinds: ClassVar[frozenset[Kind]] = Forest.kinds
    reference: ClassVar[str] = (
        "Burgette, L. F. and Reiter, J. P. (2010). Multiple imputation for missing data via sequential regression "
        f"trees. American Journal of Epidemiology 172(9), 1070-1076. doi:10.1093/aje/kwq260\n{DOOVE}"
    )
    facts: ClassVar[Facts] = Forest.facts._replace(called="a classification or regression tree")

    def __post_init__(self) -> None:
        _refuse(self.min_leaf, 1.0, "Cart")

    def compatible(self, kind: Kind) -> Any:
        """The method with a density that it is in a compatible plan."""
        return Forest(trees=1, min_leaf=self.min_leaf, features=1.0).compatible(kind)

    def fit(self, visit: Visit, rng: np.random.Generator) -> ForestFitted:
        """Grow the tree."""
        return ForestFitted(_grow(visit, rng, 1, self.min_leaf, 1.0), visit.y.copy())


def _refuse(min_leaf: int, features: float, name: str, trees: int = 1) -> None:
    """Refuse numbers that make no tree."""
    if trees < 1:
        raise PlanError(f"trees is {trees}; at least 1 is needed.", do=f"mifit.{name}(trees=10)")
    if min_leaf < 1:
        raise PlanError(f"min_leaf is {min_leaf}; at least 1 is needed.", do=f"mifit.{name}(min_leaf=5)")
    if not 0 < features <= 1:
        raise PlanError(f"features is {features}; a share above 0 is needed.", do=f"mifit.{name}(features=0.5)")
