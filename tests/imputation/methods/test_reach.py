"""How far out a power model draws: never much farther than any observed value, and not truncated where it need not."""

import dataclasses

import numpy as np
import pytest
from scipy import integrate

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods import Power, check_method


def pbc(name):
    frame = mifit.datasets.load("pbc").dropna(subset=[name, "bili", "albumin"])
    return frame[name].to_numpy(dtype=float), frame[["bili", "albumin"]].to_numpy(dtype=float)


def made(kind, n=200):
    rng = np.random.default_rng(5)
    z = rng.standard_normal((n, 1))
    y = np.exp(0.4 * z[:, 0] + 0.5 * rng.standard_t(3, n))
    if kind == "heaped":
        y = np.round(5 * y) + 5
    if kind == "outlier":
        y = np.exp(0.2 * rng.standard_normal(n))
        y[0] = 30.0
    if kind == "Pareto":
        y = np.exp(0.3 * z[:, 0]) * (1 + rng.pareto(2.0, n))
    if kind == "both signs":
        y = np.sinh(2 * rng.standard_t(3, n) + z[:, 0])
    if kind == "many zeros":
        y = np.where(rng.random(n) < 0.45, 0.0, y**3)
    return y, z


COLUMNS = {
    **{name: pbc(name) for name in ("chol", "alk.phos", "trig")},
    **{kind: made(kind) for kind in ("heavy", "heaped", "outlier", "Pareto", "both signs", "many zeros")},
    "few": tuple(part[:12] for part in made("heavy")),
}


def fits(name, heteroscedastic, many=25, alone=False):
    y, Z = COLUMNS[name]
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    X = np.ones((len(y), 1)) if alone else np.column_stack([np.ones(len(y)), Z])
    method = Power(heteroscedastic=heteroscedastic).tuned(y)
    for seed in range(many):
        seen = Visit(y, X, np.arange(X.shape[1]), Kind.NUMERIC)
        yield y, X, method.fit(seen, np.random.default_rng(seed)), np.random.default_rng([1, seed])


@pytest.mark.parametrize("heteroscedastic", [False, True])
@pytest.mark.parametrize("name", COLUMNS)
def test_the_largest_of_many_draws_lies_within_what_the_observed_values_warrant(name, heteroscedastic):
    for y, X, fitted, rng in fits(name, heteroscedastic):
        drawn = fitted.sample(X[rng.integers(len(X), size=2_000)], rng)
        middle = np.median(y) if not fitted.on.positive else 0.0
        size = np.median(np.abs(y - middle))
        most, farthest = np.abs(y - middle).max() / size, np.abs(drawn - middle).max() / size
        spread = np.log1p(np.abs(y - middle) / size).std()
        # Twice the largest log ratio that was observed, and what the largest of n normal ones gains by a square of n.
        room = 2 * np.log1p(most) + 2 * max(spread, 0.3) * np.sqrt(0.5 * np.log(len(y)))
        assert np.isfinite(drawn).all() and np.log1p(farthest) < room


@pytest.mark.parametrize("name", ["chol", "alk.phos", "Pareto"])
def test_without_predictors_the_end_is_the_largest_observed_value_times_a_margin_written_by_hand(name):
    for y, X, fitted, rng in fits(name, False, alone=True, many=40):
        if fitted.reach is None:
            continue
        mean, sd = fitted.mean_sd(X[:1])
        _, high = fitted.ends(mean)
        end = fitted.backward(high)[0]
        middle = fitted.backward(mean)[0] / fitted.on.scale
        spread = max(np.log(y).std(), np.ravel(sd)[0] * middle**-fitted.power)
        np.testing.assert_allclose(end, y.max() * np.exp(spread * np.sqrt(0.5 * np.log(len(y)))), rtol=1e-6)
        assert fitted.sample(np.ones((5_000, 1)), rng).max() <= end * (1 + 1e-9)


def test_left_alone_some_of_these_models_draw_hundreds_of_times_the_largest_value():
    farthest = 0.0
    for name in ("chol", "alk.phos"):
        for y, X, fitted, rng in fits(name, True, many=60):
            free = dataclasses.replace(fitted, reach=None)
            farthest = max(farthest, free.sample(np.repeat(X, 10, axis=0), rng).max() / y.max())
    assert farthest > 100


def test_a_model_that_is_cut_off_states_the_density_of_its_draws():
    for y, X, fitted, rng in fits("chol", True, many=4):
        assert fitted.reach is not None
        row = X[[int(np.argmax(y))]]
        _, high = fitted.ends(fitted.mean_sd(row)[0])
        end = float(fitted.backward(high)[0])

        def density(value, fitted=fitted, row=row):
            return float(np.exp(fitted.log_density(np.array([value]), row))[0])

        total = sum(
            integrate.quad(density, a, b, limit=200)[0]
            for a, b in zip(np.geomspace(1, end, 12), np.geomspace(1, end, 12)[1:], strict=False)
        )
        assert abs(total - 1) < 1e-5 and density(end * 1.001) == 0
        drawn = fitted.sample(np.repeat(row, 4_000, axis=0), rng)
        share = sum(
            integrate.quad(density, a, b)[0]
            for a, b in zip(np.geomspace(1, 500, 12), np.geomspace(1, 500, 12)[1:], strict=False)
        )
        assert abs((drawn < 500).mean() - share) < 5 * np.sqrt(share * (1 - share) / 4_000) + 1e-12


def test_a_variable_that_is_normal_on_its_scale_is_not_cut_off():
    acts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y = (1 + 0.5 * (6 + rng.standard_normal(400))) ** 2
        fitted = Power().fit(Visit(y, np.ones((400, 1)), np.zeros(1, dtype=np.int64), Kind.NUMERIC), rng)
        acts.append(fitted.reach is not None)
    assert sum(acts) <= 4


def test_a_value_that_was_drawn_far_out_warrants_no_other():
    frame = mifit.datasets.load("pbc")[["albumin", "age", "bili", "chol"]]
    imp = frame.mice.impute("albumin ~ age + np.log(bili) + chol", m=6, rng=1, iterations=6, progress=False)
    drawn = np.concatenate([one["chol"][frame["chol"].isna()] for one in imp])
    assert drawn.max() < 6 * frame["chol"].max() and (drawn > 1.5 * frame["chol"].max()).mean() < 0.01


def test_a_row_whose_own_bound_lies_far_out_reaches_on_from_there_and_the_others_do_not():
    frame = mifit.datasets.load("pbc")[["albumin", "age", "bili", "chol"]]
    high = frame["chol"].isna() & (frame["chol"].isna().cumsum() == 9)  # one row
    floor = high.map({True: 20_000.0, False: 0.0})
    imp = frame.assign(floor=floor).mice.impute(
        "albumin ~ age + np.log(bili) + chol", m=3, rng=1, iterations=3, censored={"chol": ("floor", None)},
        auxiliary="ignore", progress=False,
    )  # fmt: skip
    for one in imp:
        assert (one["chol"][high] >= 20_000).all() and (one["chol"][high] < 1e6).all()
        assert one["chol"][~high].max() < 6 * frame["chol"].max()


@pytest.mark.parametrize("heteroscedastic", [False, True])
def test_the_contract_is_kept_where_nothing_is_uneven(heteroscedastic):
    check_method(Power(heteroscedastic=heteroscedastic))
