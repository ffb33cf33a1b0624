"""Fitting: one frozen design, m sets, the words of statsmodels, and what may go wrong in some of them."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import mifit
from mifit import ConvergenceWarning, DataError, FitError, ModelError, SeparationWarning
from mifit.analysis.fit import fit_one, fit_sets
from mifit.analysis.models import MODELS, Call, is_robust, sorted_words, spec, words


@dataclass(frozen=True)
class Sets:
    """Completed sets from a list of frames."""

    frames: tuple

    @property
    def index(self):
        return self.frames[0].index

    def __len__(self):
        return len(self.frames)

    def labels(self, k):
        return self.index

    def take(self, k, given):
        return given

    def values(self, k):
        return self.frames[k]

    def series(self, k, name):
        return self.frames[k][name].reset_index(drop=True)


class Design:
    """A design frozen on the first set."""

    def __init__(self, formula, sets):
        self.formula = formula
        left, right = formula.split("~")
        self.outcome_label = self.left = left.strip()
        self.never_observed = ()
        self.info = patsy.dmatrix(right, sets.frames[0]).design_info
        self.names = tuple(self.info.column_names)

    def outcome(self, values):
        return values[self.left].to_numpy(dtype=float)

    def matrix(self, values):
        return np.asarray(patsy.build_design_matrices([self.info], values)[0])


def completed_sets(m=3, n=120, seed=11):
    """Sets that differ in x and w; y is numeric, b binary, c a count, id has 12 clusters."""
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=n), rng.choice(list("abc"), n)
    base = pd.DataFrame({"x": x, "g": pd.Categorical(g), "id": np.repeat(np.arange(12), n // 12)})
    base["year"] = np.tile(np.arange(n // 12), 12)
    base["y"] = 1 + x + rng.normal(size=n)
    base["b"] = (x + rng.logistic(size=n) > 0).astype(float)
    base["c"] = rng.poisson(np.exp(0.3 * x))
    base["w"] = rng.uniform(1, 3, size=n)
    base.index = pd.Index(np.arange(n) + 500)
    hole = rng.random(n) < 0.3
    frames = []
    for _ in range(m):
        moved = {"x": np.where(hole, x + rng.normal(size=n), x), "w": np.where(hole, rng.uniform(1, 3, n), base["w"])}
        frames.append(base.assign(**moved))
    return Sets(tuple(frames))


FAMILY = {"family": sm.families.Binomial()}


@pytest.mark.parametrize(
    ("model", "formula", "keywords"),
    [
        ("ols", "y ~ x * g", {}),
        ("ols", "y ~ x + g", {"cov_type": "HC1"}),
        ("wls", "y ~ x + g", {"weights": "w"}),
        ("logit", "b ~ x + g", {}),
        ("logit", "b ~ x", {"offset": "w"}),
        ("poisson", "c ~ x + g", {"exposure": "w"}),
        ("glm", "b ~ x + g", FAMILY),
        ("glm", "y ~ x", {"freq_weights": "w"}),
        ("glm", "c ~ x", {"family": sm.families.Poisson(), "var_weights": "w", "offset": "x"}),
    ],
)
def test_every_set_is_fitted_as_statsmodels_would(model, formula, keywords):
    sets = completed_sets()
    fits = fit_sets(Design(formula, sets), sets, sorted_words(model, keywords))
    for k, frame in enumerate(sets.frames):
        plain = {w: frame[v] if isinstance(v, str) and v in frame else v for w, v in keywords.items()}
        fit = {w: plain.pop(w) for w in list(plain) if w == "cov_type"}
        if MODELS[model].quiet:
            fit["disp"] = 0
        alone = getattr(smf, model)(formula, frame, **plain).fit(**fit)
        np.testing.assert_allclose(fits.estimates[k], alone.params, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(fits.covariances[k], alone.cov_params(), rtol=1e-8, atol=1e-12)
        assert fits.names == tuple(alone.params.index)
        assert fits.df_complete <= alone.df_resid
        left = alone.df_resid
    assert fits.df_complete == left or "freq_weights" in keywords  # weights that vary: the least of the sets
    assert fits.converged.all()
    assert not fits.separated.any()
    assert fits.notes == ()
    assert fits.df_source == "residual"
    assert fits.n_obs == 120


def test_clusters_leave_their_number_minus_one():
    sets = completed_sets()
    for model, formula, more in (("ols", "y ~ x", {}), ("logit", "b ~ x", {}), ("glm", "b ~ x", FAMILY)):
        asked = sorted_words(model, {"cov_type": "cluster", "cov_kwds": {"groups": "id"}, **more})
        fits = fit_sets(Design(formula, sets), sets, asked)
        assert (fits.df_complete, fits.df_source, fits.cov_label) == (11, "clusters - 1", "cluster (id)")
        fit = {"cov_type": "cluster", "cov_kwds": {"groups": sets.frames[0]["id"]}, **MODELS[model].quiet}
        alone = getattr(smf, model)(formula, sets.frames[0], **more).fit(**fit)
        np.testing.assert_allclose(fits.covariances[0], alone.cov_params(), rtol=1e-8)


def test_clusters_may_be_text_and_two_way():
    sets = completed_sets()
    texts = Sets(tuple(f.assign(id="site " + f["id"].astype(str)) for f in sets.frames))
    one, two = (
        fit_sets(Design("y ~ x", s), s, sorted_words("ols", {"cov_type": "cluster", "cov_kwds": {"groups": "id"}}))
        for s in (sets, texts)
    )
    np.testing.assert_allclose(one.covariances, two.covariances)
    both = sorted_words("ols", {"cov_type": "cluster", "cov_kwds": {"groups": ["id", "year"]}})
    assert both.columns == ("id", "year")
    fits = fit_sets(Design("y ~ x", texts), texts, both)
    assert fits.df_complete == 9
    groups = sets.frames[0][["id", "year"]].to_numpy()
    alone = smf.ols("y ~ x", sets.frames[0]).fit(cov_type="cluster", cov_kwds={"groups": groups})
    np.testing.assert_allclose(fits.covariances[0], alone.cov_params())


def test_the_users_degrees_of_freedom_win():
    sets = completed_sets()
    asked = sorted_words("ols", {"cov_type": "cluster", "cov_kwds": {"groups": "id"}})
    fits = fit_sets(Design("y ~ x", sets), sets, asked, dfcom=7)
    assert (fits.df_complete, fits.df_source) == (7.0, "given")


def test_an_array_may_stand_for_a_column():
    sets = completed_sets()
    w = sets.frames[0]["w"]
    for given in (w, w.to_numpy(), list(w)):
        fits = fit_sets(Design("y ~ x", sets), sets, sorted_words("wls", {"weights": given}))
        alone = smf.wls("y ~ x", sets.frames[2], weights=w).fit()
        np.testing.assert_allclose(fits.estimates[2], alone.params)


def test_words_are_sorted_by_the_signatures():
    asked = sorted_words("glm", {"offset": "w", "cov_type": "HC1", "maxiter": 50}, {"tol": 1e-10})
    assert asked == Call("glm", {"offset": "w"}, {"cov_type": "HC1", "maxiter": 50, "tol": 1e-10})
    assert asked.columns == ("w",)
    assert words("ols")[0] == {"hasconst"}
    assert {"cov_type", "cov_kwds", "use_t"} <= words("poisson")[1]


def test_a_word_nobody_knows_is_an_error_with_the_nearest_spelling():
    with pytest.raises(ModelError, match=r"The WLS model has no keyword 'wieghts' \(did you mean 'weights'\?\)"):
        sorted_words("wls", {"wieghts": "w"})
    with pytest.raises(ModelError, match=r"The OLS model has no keyword 'weights'") as caught:
        sorted_words("ols", {"weights": "w"})
    assert caught.value.do == "imp.fit('y ~ x1 + x2', model='wls', weights='w')"


def test_clusters_without_groups_end_in_the_call_that_names_them():
    for keywords in ({"cov_type": "cluster"}, {"groups": "id"}):
        with pytest.raises(ModelError) as caught:
            sorted_words("ols", keywords, formula="y ~ x")
        assert caught.value.do.startswith("imp.fit('y ~ x', cov_type='cluster', groups='id')")


def test_groups_beside_the_covariance_type_are_its_clusters():
    inside = sorted_words("ols", {"cov_type": "cluster", "cov_kwds": {"groups": "id"}})
    assert sorted_words("ols", {"cov_type": "cluster", "groups": "id"}) == inside


def test_an_unknown_model_is_an_error_with_the_list():
    with pytest.raises(ModelError, match=r"unknown model 'logti' \(did you mean 'logit'\?\)") as caught:
        spec("logti")
    assert caught.value.lines["known"].split(", ") == sorted(MODELS)
    assert spec("OLS") is spec("ols")


@pytest.mark.parametrize("word", ["formula", "data", "subset", "drop_cols", "missing", "endog", "exog"])
def test_words_that_would_drop_rows_or_replace_the_formula_are_refused(word):
    with pytest.raises(ModelError, match=f"{word}= cannot be given"):
        sorted_words("ols", {word: "drop"})
    with pytest.raises(ModelError, match=f"{word}= cannot be given"):
        sorted_words("ols", {}, {word: "drop"})


def test_a_family_must_be_an_object():
    for family in ("poisson", sm.families.Poisson):
        with pytest.raises(ModelError, match="is not a family"):
            sorted_words("glm", {"family": family})


@pytest.mark.parametrize(
    ("weights", "said"),
    [("g", "is not numeric"), ([1.0, 2.0], "2 values, the frame 120 rows"), (np.full(120, np.nan), "not a finite")],
)
def test_weights_that_cannot_be_used_are_refused(weights, said):
    sets = completed_sets()
    with pytest.raises(ModelError, match=said):
        fit_sets(Design("y ~ x", sets), sets, Call("wls", {"weights": weights}))


def test_a_column_that_is_not_there_is_reported_by_the_table_itself():
    class Strict(Sets):
        def series(self, k, name):
            raise DataError(f"no column {name!r}")

    sets = Strict(completed_sets().frames)
    with pytest.raises(DataError, match="no column 'wt'"):
        fit_sets(Design("y ~ x", sets), sets, sorted_words("wls", {"weights": "wt"}))


def test_clusters_with_holes_are_refused():
    sets = completed_sets()
    holed = Sets(tuple(f.assign(id=f["id"].where(f["id"] > 0)) for f in sets.frames))
    with pytest.raises(ModelError, match="groups='id' has missing values in set 0"):
        fit_sets(
            Design("y ~ x", holed), holed, sorted_words("ols", {"cov_type": "cluster", "cov_kwds": {"groups": "id"}})
        )


def test_robust_covariances_are_recognised():
    assert [is_robust(c) for c in ("HC3", "cluster", "HAC", "nonrobust", "fixed scale", None)] == [True] * 3 + [
        False
    ] * 3


def test_nothing_is_printed(capsys):
    sets = completed_sets()
    for model, formula in (("ols", "y ~ x"), ("logit", "b ~ x"), ("poisson", "c ~ x"), ("glm", "y ~ x")):
        fit_sets(Design(formula, sets), sets, sorted_words(model, {}))
        fit_one(Design(formula, sets), sets, sorted_words(model, {}), 0)
    assert capsys.readouterr() == ("", "")


def test_fits_that_do_not_converge_warn_once_with_their_numbers():
    sets = completed_sets()
    with pytest.warns(ConvergenceWarning) as caught:
        fits = fit_sets(Design("b ~ x", sets), sets, sorted_words("logit", {"maxiter": 1}))
    assert [w.message.args[0] for w in caught] == ["3 of 3 Logit fits did not converge: sets 0, 1, 2."]
    assert caught[0].filename == __file__
    assert not fits.converged.any()
    assert fits.notes == ("The fit did not converge in all 3 sets.",)


@pytest.mark.parametrize("model", ["logit", "glm"])
def test_separation_in_some_sets_warns_once_with_their_numbers(model):
    frames = list(completed_sets(m=4).frames)
    for k in (1, 3):
        frames[k] = frames[k].assign(b=frames[k]["b"].where(frames[k]["g"] != "c", 1.0))
    sets = Sets(tuple(frames))
    with pytest.warns(SeparationWarning) as caught:
        fits = fit_sets(Design("b ~ x + g", sets), sets, sorted_words(model, FAMILY if model == "glm" else {}))
    assert len(caught) == 1
    assert "in 2 of 4" in str(caught[0].message)
    assert "sets 1, 3" in str(caught[0].message)
    assert fits.separated.tolist() == [False, True, False, True]
    assert any("separate the outcome in sets 1, 3" in note for note in fits.notes)


def test_a_steep_but_finite_logistic_fit_is_not_called_separated():
    rng = np.random.default_rng(2)
    frames = []
    for _ in range(2):
        x = rng.normal(size=2000)
        frames.append(pd.DataFrame({"x": x, "b": (6 * x + rng.logistic(size=2000) > 0).astype(float)}))
    sets = Sets(tuple(frames))
    design = Design("b ~ x", sets)
    fits = fit_sets(design, sets, sorted_words("logit", {}))
    assert np.abs(design.matrix(frames[0]) @ fits.estimates[0]).max() > 10
    assert not fits.separated.any()


@pytest.mark.parametrize("model", ["ols", "logit", "glm"])
def test_an_absent_level_is_refused_with_its_name_and_its_sets(model):
    frames = list(completed_sets(m=4).frames)
    frames[2] = frames[2].assign(g=frames[2]["g"].where(frames[2]["g"] != "c", "a"))
    sets = Sets(tuple(frames))
    with pytest.raises(FitError, match="not of full rank in set 2") as caught:
        fit_sets(Design("b ~ x + g", sets), sets, sorted_words(model, FAMILY if model == "glm" else {}))
    assert "g[T.c]" in caught.value.lines["columns"]
    assert caught.value.do.startswith("imp[2]")


def test_a_model_that_fails_in_one_set_names_it():
    frames = list(completed_sets().frames)
    frames[1] = frames[1].assign(b=-frames[1]["b"] - 1)
    sets = Sets(tuple(frames))
    with pytest.raises(FitError, match="GLM fit failed on completed set 1") as caught:
        fit_sets(Design("b ~ x", sets), sets, sorted_words("glm", {"family": sm.families.Poisson()}))
    assert "NaN, inf or invalid value" in caught.value.lines["said"]
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_statsmodels_says_becomes_a_note_with_its_sets():
    sets = Sets(tuple(f.assign(y=np.abs(f["y"]) + 0.1) for f in completed_sets().frames))
    asked = sorted_words("glm", {"family": sm.families.Gamma(sm.families.links.Log()), "cov_type": "HC0"})
    assert fit_sets(Design("y ~ x", sets), sets, asked).notes == ()
    asked = sorted_words("glm", {"family": sm.families.Gamma(sm.families.links.Identity())})
    (note,) = fit_sets(Design("y ~ g", sets), sets, asked).notes
    assert note.startswith("statsmodels in all 3 sets: The Identity link function does not respect the domain")


def test_one_set_fitted_again_looks_native_and_predicts():
    sets = completed_sets()
    design = Design("y ~ np.log(x + 9) * g", sets)
    kept = fit_sets(design, sets, sorted_words("ols", {}), keep=True).kept
    again = fit_one(design, sets, sorted_words("ols", {}), 1)
    np.testing.assert_array_equal(kept[1].params, again.params)
    for result in (kept[1], again):
        assert list(result.params.index) == list(design.names)
        assert result.model.endog_names == "y"
        assert result.model.formula == design.formula
        assert result.fittedvalues.index.equals(sets.index)
        fresh = pd.DataFrame({"x": [0.0, 1.0], "g": ["c", "a"]}, index=["first", "second"])
        alone = smf.ols(design.formula, sets.frames[1]).fit().predict(fresh)
        np.testing.assert_allclose(result.predict(fresh), alone)
        assert "np.log(x + 9):g[T.b]" in result.summary().as_text()


def test_the_family_is_among_the_facts():
    sets = completed_sets()
    fits = fit_sets(Design("b ~ x", sets), sets, sorted_words("glm", FAMILY))
    assert (fits.label, fits.facts) == ("GLM", {"Model Family": "Binomial", "Link Function": "Logit"})


def test_two_workers_find_the_same_bits_as_one():
    sets = completed_sets()
    asked = sorted_words("glm", {**FAMILY, "cov_type": "cluster", "cov_kwds": {"groups": "id"}})
    here, there = (fit_sets(Design("b ~ x + g", sets), sets, asked, n_jobs=n) for n in (None, 2))
    np.testing.assert_array_equal(here.estimates, there.estimates)
    np.testing.assert_array_equal(here.covariances, there.covariances)
    bad = Sets(tuple(f.assign(b=-f["b"] - 1) for f in sets.frames))
    with pytest.raises(FitError, match="completed set 0"):
        fit_sets(Design("b ~ x", bad), bad, sorted_words("glm", {"family": sm.families.Poisson()}), n_jobs=2)


def test_the_rooms_load_nothing_slow():
    slow = ("statsmodels", "scipy.stats", "joblib", "threadpoolctl")
    code = f"import sys, mifit.results.pooled; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nearly_singular_sets_are_named_once():
    rng = np.random.default_rng(1)
    frames = [pd.DataFrame({"x": rng.normal(size=60), "z": rng.normal(size=60), "y": rng.normal(size=60)})] * 3
    frames[1] = frames[1].assign(z=2000 + frames[1]["x"] + 1e-5 * frames[1]["z"])
    sets = Sets(tuple(frames))
    (note,) = fit_sets(Design("y ~ x + z", sets), sets, sorted_words("ols", {})).notes
    assert note.startswith("The design is nearly singular in set 1 (condition number up to 2e+05)")


def test_a_far_origin_is_no_near_singularity():
    rng = np.random.default_rng(1)
    year = 2000 + rng.integers(0, 20, 80)
    frame = pd.DataFrame({"year": year.astype(float), "y": rng.normal(size=80)})
    sets = Sets((frame, frame, frame))
    for formula in ("y ~ year", "y ~ year + I(year**2)"):
        assert fit_sets(Design(formula, sets), sets, sorted_words("ols", {})).notes == ()


@pytest.mark.parametrize("dfcom", ["a", -1, 0, float("nan")])
def test_degrees_of_freedom_are_a_positive_number(dfcom):
    sets = completed_sets()
    with pytest.raises(ModelError, match="dfcom is .*; a positive number is needed") as caught:
        fit_sets(Design("y ~ x", sets), sets, sorted_words("ols", {}), dfcom=dfcom)
    assert caught.value.do == "imp.fit('y ~ x', dfcom=96)"


@pytest.mark.parametrize(
    ("alias", "name"),
    [("cox", "phreg"), ("logistic", "logit"), ("linear", "ols"), ("multinomial", "mnlogit"), ("mixed", "mixedlm"),
     ("NB", "negativebinomial")],
)  # fmt: skip
def test_usual_names_of_models_are_known(alias, name):
    assert spec(alias).name == name


def test_words_of_others_end_in_a_call_to_paste():
    for word in ("seed", "random_state", "rng"):
        with pytest.raises(ModelError, match=f"{word}= belongs to the imputation") as caught:
            sorted_words("ols", {word: 1}, formula="y ~ x")
        assert caught.value.do == "imp.fit('y ~ x')  # rng= is a word of df.mice.impute"
    with pytest.raises(ModelError, match="exposure") as caught:
        sorted_words("ols", {"exposure": "t"}, formula="y ~ x")
    assert caught.value.do == "imp.fit('y ~ x', model='poisson', exposure='t')"
    with pytest.raises(ModelError, match="data= cannot be given") as caught:
        sorted_words("ols", {"data": 1}, formula="y ~ x")
    assert caught.value.do == "imp.fit('y ~ x')"
    with pytest.raises(ModelError, match="family") as caught:
        sorted_words("ols", {"family": sm.families.Gamma()}, formula="y ~ x")
    assert caught.value.do == "imp.fit('y ~ x', model='glm', family=sm.families.Gamma())"
    with pytest.raises(ModelError, match="fit_kwds is 3"):
        sorted_words("ols", {}, 3)


def test_a_number_is_no_yes_or_no():
    imp = mifit.from_frames(completed_sets().frames)
    for model, keywords in (("logit", {}), ("glm", FAMILY)):
        with pytest.raises(ModelError, match=f"{spec(model).label} models yes and no; 'y' has numbers") as caught:
            imp.fit("y ~ x", model=model, **keywords)
        assert caught.value.lines == {"as a number": "imp.fit('y ~ x', model='ols')"}
        names = {"df": imp[0].assign(y=imp[0]["y"].mask(imp[0].index < 503)), "np": np, "pd": pd}
        exec(caught.value.do.partition("; ")[0], names)
        assert names["df"]["outcome"].isna().sum() == 3 and names["df"]["outcome"].nunique() == 2
