"""Outcomes that are analysed by cluster: drawn with their cluster's level, or said to be drawn without."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Clusters, Visit
from mifit.imputation.methods import Mixed


def long_frame(seed, n=80, visits=5, slopes=False):
    """Visits of persons who drop out the sooner the higher their last value was; the true slope is .5."""
    rng = np.random.default_rng(seed)
    person, visit = np.repeat(np.arange(n), visits), np.tile(np.arange(visits), n).astype(float)
    level, slope = rng.normal(scale=2, size=n), rng.normal(scale=0.6 * slopes, size=n)
    y = 1 + (0.5 + slope[person]) * visit + level[person] + rng.normal(size=n * visits)
    full = pd.DataFrame({"person": person, "visit": visit, "y": y})
    frame, table, out = full.copy(), y.reshape(n, visits), np.zeros(n, dtype=bool)
    for t in range(1, visits):
        out |= rng.random(n) < 0.6 / (1 + np.exp(2.5 - table[:, t - 1]))
        frame.loc[(visit == t) & out[person], "y"] = np.nan
    return full, frame


def visit_of(y, codes):
    X, terms = np.ones((len(y), 1)), np.zeros(1, dtype=np.int64)
    return Visit(y, X, terms, Kind.NUMERIC, clusters=Clusters(codes, int(codes.max()) + 1, X))


def drawn_variances(y, codes, draws, seed):
    """Log standard deviations between and within clusters, draw after draw."""
    visit, rng, found = visit_of(y, codes), np.random.default_rng(seed), []
    for _ in range(draws):
        fitted = Mixed(unit="g").fit(visit, rng)
        within = fitted.sigma * fitted.scale
        found.append(np.log([fitted.root[0, 0] * within, within]))
    return np.array(found)


def test_variances_follow_their_posterior_on_a_grid():
    """Eight clusters of four: the intercept integrated out, half-t(2) of the ratio with scale 10, 1/sigma within."""
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(8), 4)
    y = rng.normal(scale=0.8, size=8)[codes] + rng.normal(size=32)
    between, within = np.linspace(-10, 2.5, 251), np.linspace(-1, 1, 81)
    means = y.reshape(8, 4).mean(axis=1)
    squares = ((y.reshape(8, 4) - means[:, None]) ** 2).sum()
    apart = ((means - means.mean()) ** 2).sum()
    a, b = np.meshgrid(np.exp(between), np.exp(within), indexing="ij")
    spread = a**2 + b**2 / 4
    height = -3.5 * np.log(spread) - apart / (2 * spread) - 24 * np.log(b) - squares / (2 * b**2)
    height += np.log(a / b) - 1.5 * np.log(1 + (a / b / 10) ** 2 / 2)  # half-t(2), in the logarithm of the ratio
    weight = np.exp(height - height.max())
    weight /= weight.sum()
    found = drawn_variances(y, codes, 4000, 1)
    for j, grid in enumerate((between, within)):
        share = weight.sum(axis=1 - j)
        mean = float(share @ grid)
        sd = float(np.sqrt(share @ (grid - mean) ** 2))
        # 4,000 independent draws: an error of the mean of sd / 63; both fail by chance in one of 1e4 seeds
        assert abs(found[:, j].mean() - mean) < 0.07 * sd
        assert 0.93 < found[:, j].std() / sd < 1.07


def test_effects_are_shrunken_means_of_their_clusters():
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(60), np.tile([2, 6], 30))
    y = 3 + rng.normal(scale=1.5, size=60)[codes] + rng.normal(size=len(codes))
    visit, found = visit_of(y, codes), []
    for _ in range(400):
        fitted = Mixed(unit="g").fit(visit, rng)
        level = fitted.scale * fitted.added(np.ones((60, 1)), np.arange(60))
        found.append(fitted.mean_sd(np.ones((60, 1)))[0] + level)
    frame = pd.DataFrame({"y": y, "g": codes})
    fit = sm.MixedLM.from_formula("y ~ 1", frame, groups="g").fit()
    blup = np.array([fit.fe_params.iloc[0] + fit.random_effects[g].iloc[0] for g in range(60)])
    assert np.abs(np.mean(found, axis=0) - blup).max() < 0.25  # posterior sd of one of two rows: .6, of its mean: .03
    assert np.corrcoef(np.mean(found, axis=0), blup)[0, 1] > 0.995


def test_a_slope_survives_dropout_that_follows_earlier_values():
    """Drawn without the person the slope was .17; the rows that were observed, by maximum likelihood, give .50."""
    found = []
    for seed in range(6):
        imp = long_frame(seed)[1].mice.impute("y ~ visit", model="mixedlm", groups="person", m=3, rng=seed)
        assert isinstance(imp.plan["y"].method, Mixed)
        res = imp.fit()
        found.append([res.params["visit"], np.exp(res.params["log(person Var)"] + res.params["log(Residual Var)"])])
    mean = np.mean(found, axis=0)
    assert abs(mean[0] - 0.5) < 0.12  # standard error .02
    assert 3 < mean[1] < 5.2  # 4 between persons


@pytest.mark.parametrize("words", [
    {"model": "mixedlm"}, {"model": "mixedlm", "re_formula": "~ visit"},
    {"model": "gee", "cov_struct": sm.cov_struct.Exchangeable()}, {"model": "gee", "family": sm.families.Gaussian()},
])  # fmt: skip
def test_a_mixed_draw_is_silent_and_the_same_wherever_it_runs(words):
    frame = long_frame(1, n=30, slopes=True)[1]
    frame["x"] = np.random.default_rng(0).normal(size=len(frame))
    frame.loc[::9, "x"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error", mifit.ClusterWarning)
        imp = frame.mice.impute("y ~ visit + x", groups="person", m=2, rng=3, **words)
        same = frame.mice.impute("y ~ visit + x", groups="person", m=2, rng=3, n_jobs=2, **words)
    assert imp.plan["y"].method == Mixed(words.get("re_formula", "~1"), "person")
    for one, other in zip(imp, same, strict=True):
        pd.testing.assert_frame_equal(one, other)
    longer = frame.mice.impute("y ~ visit + x", groups="person", m=2, rng=3, iterations=12, **words)
    pd.testing.assert_frame_equal(imp.extend(iterations=2)[1], longer[1])
    assert "its cluster" in str(imp.explain(int(np.flatnonzero(frame["y"].isna())[0]), "y"))


def test_a_mixed_plan_comes_back_from_a_file(tmp_path):
    frame = long_frame(2, n=30)[1]
    imp = frame.mice.impute("y ~ visit", model="mixedlm", groups="person", re_formula="~ visit", m=2, rng=3)
    imp.save(tmp_path / "study.mifit")
    again = mifit.load(tmp_path / "study.mifit")
    assert again.plan["y"].method == imp.plan["y"].method
    pd.testing.assert_frame_equal(again.extend(iterations=2)[1], imp.extend(iterations=2)[1])


def test_rows_of_a_new_cluster_are_drawn_near_its_observed_ones():
    full, frame = long_frame(4)
    imp = frame.mice.impute("y ~ visit", model="mixedlm", groups="person", m=5, rng=3)
    new = full.head(10).copy()
    new["person"] += 1000
    new["y"] = np.where(new["person"] == 1000, 12.0, -8.0) + 0.5 * new["visit"]
    new.loc[new["visit"] == 3, "y"] = np.nan
    done = [one.loc[one["visit"] == 3, "y"].to_numpy() for one in imp.impute_new(new)]
    assert np.all(np.abs(np.array(done) - [13.5, -6.5]) < 5)  # residual sd 1, five draws each
    assert np.abs(np.mean(done, axis=0) - [13.5, -6.5]).max() < 2


def test_an_outcome_that_is_drawn_without_its_clusters_is_said_to_be():
    full, frame = long_frame(3)
    frame["b"] = (full["y"] > 2).astype(float).where(frame["y"].notna())
    words = {"formula": "b ~ visit", "model": "conditional_logit"}
    used = frame[["person", "visit", "b"]].assign(aux=np.arange(len(frame)) % 3 + 0.5)
    with pytest.warns(mifit.ClusterWarning, match="are drawn without 'person'") as heard:
        used.mice.impute(groups="person", m=2, rng=1, **words)
    said = [str(one.message) for one in heard if one.category is mifit.ClusterWarning]
    assert len(said) == 1 and f"the {frame['y'].isna().sum()} missing values" in said[0]
    line = said[0].split("Without those rows: ")[1].splitlines()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = eval(line, {"df": used, "sm": sm})
    assert res.nobs == frame["y"].notna().sum()


def test_two_values_analysed_by_an_equation_are_drawn_with_the_level_of_their_person():
    """30 % of the values of each person are hidden: drawn ones resemble the person's others, as the true ones do."""
    full, frame = long_frame(3)
    frame["b"] = (full["y"] > 2).astype(float).mask(np.random.default_rng(1).random(len(full)) < 0.3)
    words = {"model": "gee", "family": sm.families.Binomial(), "groups": "person"}
    imp = frame[["person", "visit", "b"]].mice.impute("b ~ visit", m=3, rng=1, **words)
    assert imp.plan["b"].label == "2l.logit" and imp.plan["b"].sampler == "own"
    assert str(imp.fit().congeniality) == "approximate: drawn from the mixed model of the same terms"
    hidden, level = frame["b"].isna(), full["y"].groupby(full["person"]).transform("mean")
    drawn = np.mean([np.corrcoef(one.loc[hidden, "b"], level[hidden])[0, 1] for one in imp])
    true = np.corrcoef((full["y"] > 2)[hidden], level[hidden])[0, 1]  # .73; without clusters 0
    assert 0.4 < drawn < true


@pytest.mark.filterwarnings("ignore:.*but imputed independently")
def test_nothing_is_said_where_the_outcome_is_complete():
    full = long_frame(3)[0]
    full["x"] = np.where(np.arange(len(full)) % 5, full["visit"], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error", mifit.ClusterWarning)
        full.mice.impute("y ~ x", model="gee", groups="person", m=2, rng=1)


def two_levels(seed=0, many=40, rows=15):
    """Columns of rows of three kinds that share levels of their clusters, a column of clusters, and an outcome."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(many), rows)

    def level(size):
        return size * rng.normal(size=many)[g]

    w = level(1.0)
    full = pd.DataFrame({"g": g, "w": w, "x": level(0.7) + rng.normal(size=len(g))})
    full["skewed"] = np.exp(level(0.5) + 0.6 * rng.normal(size=len(g)))
    full["two"] = (level(1.2) + rng.logistic(size=len(g)) > 0.3).astype(float)
    full["y"] = 0.5 * full["x"] + 0.5 * full["skewed"] + full["two"] + 0.5 * w + level(0.6) + rng.normal(size=len(g))
    frame = full.copy()
    for name in ("x", "skewed", "two"):
        frame[name] = frame[name].mask(rng.random(len(g)) < 0.25)
    frame["w"] = frame["w"].mask((rng.random(many) < 0.25)[g])
    return full, frame


def test_columns_of_every_kind_keep_the_spread_between_their_clusters():
    """Variances of the clusters' means, of what was drawn and of the truth: within a fifth (drawn by row: -25 %)."""
    full, frame = two_levels()
    imp = frame.mice.impute("y ~ x + skewed + two + w", model="mixedlm", groups="g", m=4, rng=1)
    labels = {name: imp.plan[name].label for name in ("x", "skewed", "two", "w")}
    assert labels == {"x": "2l.norm", "skewed": "2l.power", "two": "2l.logit", "w": "norm"}
    for name in ("x", "skewed", "two"):
        spread = [one[name].groupby(one["g"]).mean().var() for one in imp]
        assert abs(np.mean(spread) / full[name].groupby(full["g"]).mean().var() - 1) < 0.2, name
    for one in imp:
        assert one.groupby("g")["w"].nunique().max() == 1
    traced = set(imp._record.chains[0].traces)
    assert {"log var(g)", "log var(residual)"} <= traced
    assert str(imp.fit().congeniality).startswith("exact")


def test_the_plan_names_columns_without_a_level_for_each_cluster():
    full, frame = two_levels(many=12, rows=8)
    frame["three"] = pd.Series(np.random.default_rng(1).choice(list("abc"), len(frame))).mask(frame["x"].isna())
    plan = frame.mice.plan("y ~ x + C(three)", model="mixedlm", groups="g", auxiliary="ignore")
    assert any("'three': its own model has no level for each g (approximate)" in event for event in plan.events)
    few = frame[frame["g"] < 4]
    plan = few.mice.plan("y ~ x", model="mixedlm", groups="g", auxiliary="ignore")
    assert plan["x"].label == "norm" and any("in 4 of them" in event for event in plan.events)


def test_a_model_of_clusters_needs_them_named():
    frame = two_levels(many=12)[1]
    with pytest.raises(mifit.PlanError, match="no clusters are named") as caught:
        frame.mice.plan("y ~ x", methods={"x": "2l.norm"})
    names = {"df": frame, "mifit": mifit}
    assert eval(caught.value.do.replace("impute", "plan"), names)["x"].method.unit == "g"


def test_levels_of_clusters_are_compared_by_the_certificate():
    frame = two_levels(many=12)[1][["g", "w", "x", "y"]]
    imp = frame.mice.impute("y ~ x + w", model="mixedlm", groups="g", m=2, rng=1, iterations=5)
    words = {"model": "mixedlm", "groups": "g"}
    said = imp.check("y ~ x", **words, re_formula="~x")
    assert set(said["verdict"]) == {"absent"}
    assert set(said["reason"]) == {"the imputations never let the slope of x differ by g"}
    assert set(imp.check("y ~ x", **words)["verdict"]) == {"implied"}
    assert set(imp.check("y ~ x", model="ols", cov_type="cluster", groups="g")["verdict"]) == {"implied"}
    assert set(imp.check("y ~ x", model="gee", groups="g")["verdict"]) == {"implied"}
    alone = frame.mice.impute("y ~ x + w", id="g", m=2, rng=1, iterations=5)
    assert set(alone.check("y ~ x", **words)["verdict"]) == {"absent"}


def test_chained_equations_take_clusters():
    """Models by cluster for columns of rows, one value for columns of clusters; spread between clusters is kept."""
    full, frame = two_levels()
    imp = frame.mice.impute(clusters="g", m=3, rng=1, iterations=5)
    labels = {name: imp.plan[name].label for name in ("x", "skewed", "two", "w")}
    assert labels == {"x": "2l.pmm", "skewed": "2l.pmm", "two": "2l.logit", "w": "pmm"}
    assert "mean(y) by g" in imp.plan["x"].predictors and "mean(x) by g" in imp.plan["w"].predictors
    assert imp.plan["g"].why == "names the subjects" and imp.plan["w"].together
    for name in ("x", "skewed", "two"):
        spread = [one[name].groupby(one["g"]).mean().var() for one in imp]
        assert abs(np.mean(spread) / full[name].groupby(full["g"]).mean().var() - 1) < 0.25, name
    assert set(imp[0]["x"]) <= set(frame["x"].dropna())
    same = frame.mice.impute(clusters="g", m=3, rng=1, iterations=5, n_jobs=2)
    pd.testing.assert_frame_equal(imp[1], same[1])
    assert imp.explain(int(np.flatnonzero(frame["x"].isna())[0]), "x") is not None


@pytest.mark.parametrize("method", ["2l.norm", "2l.power", mifit.Mixed(random="~y")])
def test_models_by_cluster_are_asked_for_by_name_or_with_slopes(method, tmp_path):
    frame = two_levels(many=12)[1][["g", "skewed", "y"]]
    imp = frame.mice.impute(clusters="g", methods={"skewed": method}, m=2, rng=1, iterations=3)
    assert imp.plan["skewed"].method.unit == "g"
    assert not imp[0]["skewed"].isna().any()
    imp.save(tmp_path / "one.mifit")
    pd.testing.assert_frame_equal(mifit.load(tmp_path / "one.mifit").extend(m=1)[2], imp.extend(m=1)[2])


@pytest.mark.parametrize("fault", ["missing", "one"])
def test_clusters_are_known_and_several(fault):
    frame = two_levels(many=12)[1][["g", "x", "y"]]
    frame["g"] = frame["g"].mask(frame["g"] == 3) if fault == "missing" else 1
    with pytest.raises(mifit.PlanError, match="15 missing values" if fault == "missing" else "one cluster") as caught:
        frame.mice.plan(clusters="g")
    assert eval(caught.value.do.replace("impute", "plan"), {"df": frame})["x"].label.endswith("pmm")


@pytest.mark.parametrize("made", ["mean", "difference"])
def test_what_was_made_of_the_observed_values_of_a_cluster_is_refused(made):
    frame = two_levels(many=12)[1][["g", "x", "y"]]
    mean = frame.groupby("g")["x"].transform("mean")
    frame["made"] = mean if made == "mean" else frame["x"] - mean
    formula = "y ~ x + made" if made == "mean" else "y ~ made"
    said = "is the mean of the observed 'x' within 'g'" if made == "mean" else "is 'x' less its mean within 'g'"
    with pytest.raises(mifit.PlanError, match=said) as caught:
        frame.mice.plan(formula, model="mixedlm", groups="g")
    assert caught.value.do == "df.mice.impute('y ~ x', model='mixedlm', groups='g')"
    plan = eval(caught.value.do.replace("impute", "plan"), {"df": frame.drop(columns="made")})
    assert plan["x"].label == "2l.norm"
    full = two_levels(many=12)[0][["g", "w", "x", "y"]]
    full["y"] = full["y"].mask(np.arange(len(full)) % 7 == 0)
    full["made"] = full.groupby("g")["x"].transform("mean")  # of a complete column: known
    assert "y" in full.mice.plan("y ~ x + made", model="mixedlm", groups="g").order
