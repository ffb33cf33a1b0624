"""What is drawn is what was imputed: lines, points, bars, labels and colours are read back from each picture."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import gaussian_kde

import mifit
from mifit.errors import DataError, FitError, MifitError, ModelError
from support.traces import moved

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from mifit.results.axes import GROUPS, IMPUTED, INK, OBSERVED, written  # noqa: E402
from mifit.results.complete_cases import complete_cases  # noqa: E402

LONG = "income_in_$_of_the_household_last_year_before_taxes_and_transfers"


@pytest.fixture(scope="module")
def frame():
    return mifit.datasets.load("nhanes2")


@pytest.fixture(scope="module")
def imp(frame):
    return frame.mice.impute("chl ~ age + bmi", m=20, rng=1)


@pytest.fixture(scope="module")
def res(imp):
    return imp.fit()


@pytest.fixture(scope="module")
def mixed():
    """Numbers, a skewed one of a long name, a category of 15 levels, a rating, a count, a boolean."""
    rng = np.random.default_rng(1)
    n = 200
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            LONG: np.exp(2 * rng.normal(size=n)),
            "diet": rng.choice([f"level {j:02d}" for j in range(15)], n, p=np.arange(1, 16) / 120),
            "rating": rng.integers(1, 6, n).astype(float),
            "visits": pd.array(rng.poisson(1, n), dtype="Int64"),
            "_smoker": pd.array(rng.integers(0, 2, n), dtype="boolean"),
        }
    )
    for name in frame.columns:
        frame[name] = frame[name].mask(rng.random(n) < 0.15)
    frame.loc[0, LONG] = 1e4  # far from all others
    return frame.mice.impute(m=5, rng=1, iterations=2)


def color(artist):
    return to_hex(artist.get_color()).upper()


def lines(ax, shade):
    return [line for line in ax.get_lines() if color(line) == shade]


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def cut(figure):
    """Texts that stick out of the picture, or hide one another on an axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    frame = figure.bbox
    wrong = []
    every_axis = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    unseen = {
        id(label)
        for axis in every_axis
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
    }
    for text in figure.findobj(matplotlib.text.Text):
        if text.get_visible() and text.get_text().strip() and id(text) not in unseen:
            box = text.get_window_extent(canvas.get_renderer())
            if not (box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1 and box.y0 >= -1 and box.y1 <= frame.y1 + 1):
                wrong.append(text.get_text())
    for axis in every_axis:
        labels = [t for t in axis.get_ticklabels() if t.get_visible() and t.get_text() and id(t) not in unseen]
        level = [
            (t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in labels if not t.get_rotation() % 90
        ]
        pairs = zip(level, level[1:], strict=False)
        wrong += [
            f"{one} over {two}" for (one, box), (two, other) in pairs if box.padded(-1).overlaps(other.padded(-1))
        ]
    return wrong


# Traces


def test_a_trace_has_a_line_for_every_chain_their_mean_and_the_verdict(imp):
    figure = imp.plot.trace()
    assert isinstance(figure, Figure)
    titles = {ax.get_title().replace("\n", " | "): ax for ax in figure.axes}
    # of the two shares of hyp one says all
    names = [n for n in imp.convergence().index if n != "share(hyp = no)"]
    assert list(titles) == [f"{name} | stable" for name in names]
    ax = titles["beta(bmi) | stable"]
    chains, mean = lines(ax, IMPUTED), lines(ax, INK)
    assert len(chains) == 20 and len(mean) == 1
    for line, chain in zip(chains, imp._record.chains, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 11))
        np.testing.assert_array_equal(line.get_ydata(), chain.traces["beta(bmi)"])
    np.testing.assert_allclose(
        mean[0].get_ydata(), np.mean([c.traces["beta(bmi)"] for c in imp._record.chains], axis=0)
    )
    assert ax.get_xlabel() == "iteration"
    assert texts(figure.legends[0]) == ["one chain", "mean of chains"]


def test_a_drift_stands_in_the_title_in_bold(imp):
    drifting = moved(imp, {"mean(bmi)": 8.0})
    titles = {ax.get_title(): ax.title.get_fontweight() for ax in drifting.plot.trace("bmi").axes}
    assert titles == {"mean(bmi)\ndrifts": "bold", "sd(bmi)\nstable": "normal", "beta(bmi)\nstable": "normal"}


def test_traces_are_chosen_by_column_by_coefficient_or_by_name(imp):
    named = {
        "hyp": ["share(hyp = no)", "share(hyp = yes)"],
        "age[T.40-59]": ["beta(age[T.40-59])"],
        "sd(chl)": ["sd(chl)"],
    }
    for which, traces in named.items():
        assert [ax.get_title().split("\n")[0] for ax in imp.plot.trace(which).axes] == traces
    assert imp.plot.data("trace", ["hyp", "sd(chl)"])["trace"].nunique() == 3


# Densities and strips


def test_a_density_has_a_line_for_every_set_and_the_observed_one_integrates_to_one(imp, frame):
    figure = imp.plot.density(["bmi", "chl"])
    ax = figure.axes[1]
    assert ax.get_title() == "chl" and len(lines(ax, IMPUTED)) == 20
    (seen,) = lines(ax, OBSERVED)
    x, y = seen.get_data()
    assert y.sum() * (x[1] - x[0]) == pytest.approx(1, abs=0.02)
    values = frame["chl"].dropna().to_numpy()
    spread = min(values.std(ddof=1), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.349)
    oracle = gaussian_kde(values, 0.9 * spread * len(values) ** -0.2 / values.std(ddof=1))
    np.testing.assert_allclose(y, oracle(x), atol=0.02 * y.max())
    drawn = imp[7].loc[frame["chl"].isna(), "chl"]
    line = lines(ax, IMPUTED)[7]
    centre = np.average(line.get_xdata(), weights=line.get_ydata())
    assert centre == pytest.approx(drawn.mean(), rel=0.02)
    assert texts(figure.legends[0]) == ["observed", "imputed, 20 sets"]


def test_a_category_has_bars_of_its_shares_and_a_mark_for_every_set(imp, frame):
    ax = imp.plot.density("hyp").axes[0]
    widths = [patch.get_width() for patch in ax.patches]
    seen = frame["hyp"].value_counts(normalize=True)
    hole = frame["hyp"].isna()
    each = np.array([imp[k].loc[hole, "hyp"].value_counts(normalize=True).loc[["no", "yes"]] for k in range(20)])
    np.testing.assert_allclose(widths, [seen["no"], seen["yes"], *each.mean(axis=0)])
    assert [to_hex(p.get_facecolor()).upper() for p in ax.patches] == [OBSERVED] * 2 + [IMPUTED] * 2
    marks = np.array([line.get_xdata() for line in lines(ax, INK)])
    np.testing.assert_allclose(marks, each)
    assert ticks(ax.yaxis) == ["no", "yes"] and ax.get_xlabel() == "share"


@pytest.mark.parametrize(("levels", "bars"), [(11, 11), (12, 12), (13, 12)])
def test_a_bar_stands_at_every_level(levels, bars):
    frame = pd.DataFrame({"g": [f"l{j:02d}" for j in range(levels)] * 6})
    frame.iloc[1::9] = None
    ax = frame.mice.impute(m=2, rng=1, methods={"g": "sample"}).plot.density().axes[0]
    assert len(ax.patches) == 2 * bars and len(ticks(ax.yaxis)) == bars
    share = frame["g"].value_counts(normalize=True)
    for name, patch in zip(ticks(ax.yaxis), ax.patches, strict=False):
        if name in share:
            assert patch.get_width() == pytest.approx(share[name])


def test_many_levels_share_the_last_bar_and_nothing_is_lost(mixed):
    ax = mixed.plot.density("diet").axes[0]
    assert len(ticks(ax.yaxis)) == 12 and ticks(ax.yaxis)[-1] == "4 other levels"
    widths = [patch.get_width() for patch in ax.patches]
    assert sum(widths[:12]) == pytest.approx(1) and sum(widths[12:]) == pytest.approx(1)


def test_a_long_tail_is_left_out_of_the_picture_and_counted(mixed):
    ax = mixed.plot.density(LONG).axes[0]
    values = mixed.plot.data("density", LONG)["value"].astype(float)
    assert lines(ax, OBSERVED)[0].get_xdata()[0] >= 0
    beyond = (values > lines(ax, OBSERVED)[0].get_xdata()[-1]).sum()
    assert beyond and ax.get_xlabel().startswith(f"{beyond} values beyond") and f"{values.max():.5g}" in ax.get_xlabel()


def test_few_holes_make_one_line_of_all_sets():
    frame = pd.DataFrame({"a": [1, 2, 3.5, None, 2.2, 8], "b": [1.0, 2, 3, 4, 5, 6]})
    ax = frame.mice.impute(m=4, rng=1).plot.density().axes[0]
    assert len(lines(ax, IMPUTED)) == 1 and ax.get_xlabel() == "1 imputed in each set: all sets in one line"


def test_a_strip_shows_every_value_at_its_set(imp, frame):
    ax = imp.plot.strip("bmi").axes[0]
    seen, *sets = ax.get_lines()
    assert color(seen) == OBSERVED and {color(one) for one in sets} == {IMPUTED} and len(sets) == 20
    np.testing.assert_array_equal(seen.get_ydata(), frame["bmi"].dropna())
    np.testing.assert_allclose(sets[4].get_ydata(), imp[4].loc[frame["bmi"].isna(), "bmi"])
    assert np.abs(sets[4].get_xdata() - 4).max() < 0.3
    assert ticks(ax.xaxis) == ["obs.", "0", "5", "10", "15"] and ax.get_xlabel() == "set"


def test_the_data_behind_are_long_and_complete(imp, frame):
    data = imp.plot.data("strip")
    assert list(data) == ["variable", "origin", "set", "row", "value"]
    assert data.groupby(["variable", "origin"]).size().to_dict() == {
        ("bmi", "imputed"): 180, ("bmi", "observed"): 16, ("chl", "imputed"): 200, ("chl", "observed"): 15,
        ("hyp", "imputed"): 160, ("hyp", "observed"): 17,
    }  # fmt: skip
    one = data[(data["variable"] == "hyp") & (data["set"] == 2)]
    assert one["value"].tolist() == imp[2]["hyp"].iloc[one["row"].to_numpy()].tolist()
    assert data.loc[data["origin"] == "observed", "set"].isna().all()


# Scatter and patterns


def test_a_scatter_marks_which_coordinate_was_imputed(imp, frame):
    ax = imp.plot.scatter("bmi", "chl", k=3)
    assert isinstance(ax, Axes) and (ax.get_xlabel(), ax.get_ylabel()) == ("bmi", "chl")
    x, y = frame["bmi"].isna().to_numpy(), frame["chl"].isna().to_numpy()
    masks = [~x & ~y, x & ~y, ~x & y, x & y]
    assert texts(ax.get_legend()) == [
        f"{word} ({mask.sum()})"
        for word, mask in zip(["observed", "bmi imputed", "chl imputed", "both imputed"], masks, strict=True)
    ]
    for line, mask in zip(ax.get_lines(), masks, strict=True):
        np.testing.assert_allclose(np.column_stack(line.get_data()), imp[3].loc[mask, ["bmi", "chl"]])
    assert [color(line) for line in ax.get_lines()] == [OBSERVED] + [IMPUTED] * 3
    assert len({line.get_marker() for line in ax.get_lines()}) == 4


def test_levels_in_a_scatter_are_named_and_jittered_around_their_place(imp):
    ax = imp.plot.scatter("age", "hyp")
    assert ticks(ax.xaxis) == ["20-39", "40-59", "60-99"] and ticks(ax.yaxis) == ["no", "yes"]
    x = np.concatenate([line.get_xdata() for line in ax.get_lines()])
    assert np.abs(x - np.rint(x)).max() <= 0.2 and set(np.rint(x)) == {0, 1, 2}


def test_a_name_that_begins_with_an_underscore_stands_in_the_legend(mixed):
    shown = texts(mixed.plot.scatter("_smoker", "x").get_legend())
    assert any(text.strip().startswith("_smoker imputed (") for text in shown) and len(shown) == 4


def test_a_pattern_shows_the_table_of_patterns(frame, imp):
    ax = frame.mice.plot_pattern()
    table = frame.mice.pattern()
    (mesh,) = ax.collections
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(5, 4), table.iloc[:-1, 2:].to_numpy(dtype=float))
    assert [to_hex(c).upper() for c in mesh.cmap([0, 1])] == [IMPUTED, OBSERVED]
    assert ticks(ax.yaxis) == ["13", "7", "3", "1", "1"] and ticks(ax.xaxis) == ["0", "8", "9", "10"]
    (top,) = ax.child_axes
    assert ticks(top.xaxis) == ["age", "hyp", "bmi", "chl"]
    assert texts(ax.get_legend()) == ["observed", "missing"]
    assert imp.plot.data("pattern").equals(imp.plot.data("pattern")) and len(imp.plot.data("pattern")) == 20


def test_rare_patterns_share_the_last_line():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(300, 10))).mask(rng.random((300, 10)) < 0.3)
    ax = frame.mice.plot_pattern()
    counts = [int(n) for n in ticks(ax.yaxis)]
    patterns = len(frame.mice.pattern()) - 1
    assert len(counts) == 26 and sum(counts) == 300
    assert [t.get_text() for t in ax.texts] == [f"{patterns - 25} rarer patterns"]


# Results


def test_a_forest_shows_estimates_intervals_and_complete_cases(res, frame):
    ax = res.plot.forest(complete_cases=True)
    assert ticks(ax.yaxis) == ["age[T.40-59]", "age[T.60-99]", "bmi"]
    pooled, alone = lines(ax, IMPUTED)[0], lines(ax, OBSERVED)[0]
    np.testing.assert_allclose(pooled.get_xdata(), res.params.iloc[1:])
    oracle = smf.ols("chl ~ age + bmi", frame.astype({"age": str})).fit()
    np.testing.assert_allclose(alone.get_xdata(), oracle.params.iloc[1:])
    ends = [np.array([segment[:, 0] for segment in c.get_segments()]) for c in ax.collections]
    np.testing.assert_allclose(ends[0], res.conf_int().iloc[1:])
    np.testing.assert_allclose(ends[1], oracle.conf_int().iloc[1:])
    assert texts(ax.get_legend()) == ["20 imputations (n = 25)", "complete cases (n = 13)"]
    assert ax.get_xlabel() == "coefficient (outcome chl)"
    assert list(pooled.get_ydata()) > list(alone.get_ydata())


def test_ratios_are_exponentials_on_a_logarithmic_axis():
    pbc = mifit.datasets.load("pbc")
    pbc["dead"] = pbc["status"] == 2
    res = pbc.mice.impute("dead ~ age + chol", m=3, rng=1, auxiliary="ignore").fit()
    ax = res.plot.forest(exponentiate=True, complete_cases=True)
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "odds ratio (outcome P(dead = True))"
    np.testing.assert_allclose(lines(ax, IMPUTED)[0].get_xdata(), np.exp(res.params.iloc[1:]))
    oracle = smf.logit("y ~ age + chol", pbc.assign(y=pbc["dead"].astype(float))).fit(disp=0)
    np.testing.assert_allclose(lines(ax, OBSERVED)[0].get_xdata(), np.exp(oracle.params.iloc[1:]), rtol=1e-6)
    assert lines(ax, INK)[0].get_xdata()[0] == 1


def test_complete_cases_that_cannot_bear_the_analysis_say_so():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60), "z": rng.normal(size=60)})
    frame.loc[:29, "x"] = frame.loc[32:, "z"] = np.nan  # rows 30 and 31 are whole
    few = frame.mice.impute("y ~ x + z", m=2, iterations=2, rng=1).fit()
    with pytest.raises(FitError, match="cannot be fitted to the complete cases: 2 of 60 rows"):
        few.plot.forest(complete_cases=True)


def test_complete_cases_keep_weights_by_name_and_refuse_arrays(frame):
    data = frame.assign(w=np.linspace(1, 2, 25))
    res = data.mice.impute("chl ~ bmi", model="wls", weights="w", m=2, rng=1).fit()
    kept = data.dropna(subset=["chl", "bmi"])
    oracle = smf.wls("chl ~ bmi", kept, weights=kept["w"]).fit()
    np.testing.assert_allclose(complete_cases(res)["estimate"], oracle.params)
    np.testing.assert_allclose(complete_cases(res)["std_error"], oracle.bse)
    pooled = mifit.pool([oracle, oracle])
    with pytest.raises(ModelError, match="made elsewhere"):
        pooled.plot.forest(complete_cases=True)
    assert len(lines(pooled.plot.forest(), IMPUTED)[0].get_xdata()) == 1


def test_predictions_are_curves_with_the_limits_of_get_prediction(res, frame):
    ax = res.plot.predictions("bmi", by="age")
    data = res.plot.data("predictions", "bmi", by="age")
    assert texts(ax.get_legend()) == ["20-39", "40-59", "60-99"] and ax.get_legend().get_title().get_text() == "age"
    for line, shade, band, (level, some) in zip(
        ax.get_lines(), GROUPS, ax.collections, data.groupby("age", sort=False), strict=False
    ):
        assert color(line) == shade
        x = np.linspace(frame["bmi"].min(), frame["bmi"].max(), 101)
        truth = res.get_prediction(pd.DataFrame({"bmi": x, "age": level})).summary_frame()
        np.testing.assert_allclose(line.get_data(), [x, truth["mean"]])
        np.testing.assert_allclose(some["mean_ci_upper"], truth["mean_ci_upper"])
        path = band.get_paths()[0].vertices
        for end in (truth["mean_ci_lower"], truth["mean_ci_upper"]):
            assert np.isin(np.round(end, 6), np.round(path[:, 1], 6)).all()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("bmi", "chl")


def test_levels_are_points_and_the_other_columns_are_held_where_the_title_says(res, frame):
    ax = res.plot.predictions("age")
    truth = res.get_prediction(pd.DataFrame({"age": ["20-39", "40-59", "60-99"], "bmi": frame["bmi"].median()}))
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), truth.predicted_mean)
    assert ax.get_title(loc="left") == f"at bmi = {frame['bmi'].median():.4g}"
    assert ticks(ax.xaxis) == ["20-39", "40-59", "60-99"]
    held = res.plot.data("predictions", "age", at={"bmi": 30.0})
    assert set(held["bmi"]) == {30.0}


def test_a_number_makes_groups_at_its_quantiles(res, frame):
    ax = res.plot.predictions("age", by="bmi")
    shown = np.quantile(frame["bmi"].dropna(), [0.1, 0.5, 0.9])
    assert texts(ax.get_legend()) == [f"{value:.4g}" for value in shown]
    assert "quantiles" in ax.get_legend().get_title().get_text()


def test_probabilities_and_relative_hazards_are_named():
    pbc = mifit.datasets.load("pbc")
    pbc["dead"] = np.where(pbc["status"] == 2, "yes", "no")
    words = {"m": 2, "rng": 1, "auxiliary": "ignore"}
    logit = pbc.mice.impute("dead ~ age + chol", **words).fit().plot.predictions("chol")
    assert logit.get_ylabel() == "P(dead = yes)" and np.all((logit.get_ylim()[0] > -0.1, logit.get_ylim()[1] < 1.1))
    cox = pbc.assign(event=pbc["status"] == 2).mice.impute("time ~ age + chol", model="phreg", status="event", **words)
    assert cox.fit().plot.predictions("chol").get_ylabel() == "relative hazard, time"


def test_missing_information_has_a_dot_for_each_coefficient(imp, res):
    for ax in (res.plot.fmi(), imp.plot.fmi(res), imp.plot.fmi()):
        np.testing.assert_allclose(lines(ax, IMPUTED)[0].get_xdata(), res.fmi)
        assert ticks(ax.yaxis) == list(res.params.index) and ax.get_xlim() == (0, 1)


# What holds for all


def every(imp, res):
    plot = imp.plot
    names = list(res.completed.table.incomplete)
    yield from (plot.trace(), plot.density(), plot.strip(), plot.scatter(names[0], names[-1]), plot.pattern())
    yield from (plot.fmi(res), res.plot.forest(complete_cases=True), res.plot.predictions(res.design.variables[0]))


def test_nothing_is_cut_off_and_no_label_hides_another(imp, res, mixed):
    other = mixed.fit("x ~ visits + _smoker + rating", uncovered="ignore")
    for picture in (*every(imp, res), *every(mixed, other)):
        figure = picture if isinstance(picture, Figure) else picture.figure
        assert cut(figure) == []


def test_thirty_columns_have_a_panel_each_and_more_than_a_picture_bears_are_not_all_drawn(monkeypatch):
    rng = np.random.default_rng(1)
    wide = pd.DataFrame(rng.normal(size=(60, 30)), columns=[f"c{j}" for j in range(30)])
    wide = wide.mask(rng.random(wide.shape) < 0.1)
    imp = wide.mice.impute(m=2, rng=1, iterations=2)
    assert [ax.get_title() for ax in imp.plot.density().axes] == list(wide)
    monkeypatch.setattr("mifit.examine.plots._PANELS", 4)
    figure = imp.plot.trace()
    assert len(figure.axes) == 4 and figure.get_suptitle() == "4 of 60 panels; name others to see them"


def test_axes_that_are_given_are_drawn_on_and_returned(imp, res):
    axes = Figure().subplots(4, 2).ravel()
    drawn = [
        imp.plot.trace("mean(bmi)", ax=axes[0]), imp.plot.density("bmi", axes[1]), imp.plot.strip("hyp", ax=axes[2]),
        imp.plot.scatter("bmi", "chl", ax=axes[3]), imp.plot.pattern(axes[4]), imp.plot.fmi(res, axes[5]),
        res.plot.forest(ax=axes[6]), res.plot.predictions("bmi", by="age", ax=axes[7]),
    ]  # fmt: skip
    assert all(one is given for one, given in zip(drawn, axes, strict=True))
    with pytest.raises(DataError, match="one panel"):
        imp.plot.density(ax=axes[0])


def test_pyplot_never_hears_of_a_picture_and_a_notebook_shows_it():
    code = (
        "import sys, mifit; imp = mifit.datasets.load('nhanes2').mice.impute('chl ~ bmi', m=2, rng=1)\n"
        "figure, ax = imp.plot.density(), imp.fit().plot.forest()\n"
        "assert figure._repr_png_()[:4] == ax._repr_png_()[:4] == b'\\x89PNG'\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_pictures_are_saved_and_pickled(imp):
    figure = pickle.loads(pickle.dumps(imp.plot.density()))
    target = io.BytesIO()
    figure.savefig(target, format="svg")
    assert b"</svg>" in target.getvalue()


def test_without_matplotlib_one_line_says_what_to_install(imp, res, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (imp.plot.density, imp.plot.trace, imp.plot.pattern, res.plot.forest, res.plot.fmi):
        with pytest.raises(MifitError, match=r"pip install 'mifit\[plot\]'"):
            draw()
    assert len(imp.plot.data("density")) and len(res.plot.data("forest"))


def test_sets_made_elsewhere_are_drawn_too_but_for_their_traces(imp):
    foreign = mifit.from_long(imp.to_long())
    assert len(lines(foreign.plot.density("bmi").axes[0], IMPUTED)) == 20
    with pytest.raises(MifitError, match="made elsewhere"):
        foreign.plot.trace()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda imp, res: imp.plot.trace("bim"), "no trace is called 'bim'"),
        (lambda imp, res: imp.plot.density("bim"), "which is not a column"),
        (lambda imp, res: imp.plot.strip("age"), "nothing was imputed in 'age'"),
        (lambda imp, res: imp.plot.scatter("bmi", "nope"), "which is not a column"),
        (lambda imp, res: imp.plot.scatter("bmi", "chl", 20), "numbered 0 to 19"),
        (lambda imp, res: imp.plot.data("densty"), "did you mean 'density'"),
        (lambda imp, res: res.plot.predictions("hyp"), "'hyp' is no variable of the right side"),
        (lambda imp, res: res.plot.predictions("bmi", at={"hyp": "no"}), "'hyp' is no variable"),
        (lambda imp, res: res.plot.data("frest"), "did you mean 'forest'"),
    ],
)
def test_a_wrong_name_is_refused_with_a_call_to_paste(imp, res, call, said):
    with pytest.raises(MifitError, match=said) as caught:
        call(imp, res)
    assert caught.value.do


def test_columns_that_cannot_be_drawn_are_refused_by_name():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y": rng.normal(size=40), "mean": rng.normal(size=40)})
    frame["when"] = pd.date_range("2026-01-01", periods=40)
    frame.loc[::5, "mean"] = np.nan
    imp = frame.mice.impute("y ~ mean", m=2, rng=1)
    with pytest.raises(DataError, match="'when' holds dates or times; only numbers and categories"):
        imp.plot.scatter("when", "y")
    with pytest.raises(DataError, match="a column is called 'mean', which is also a column of the predictions"):
        imp.fit().plot.predictions("mean")


def test_labels_are_wrapped_at_joints_and_never_read_as_mathematics():
    assert written("a_$_b") == r"a_\$_b"
    wrapped = written("income_of_the_household_last_year", width=20)
    assert wrapped.split("\n") == ["income_of_the_", "household_last_year"]
    assert "…" in written("x" * 500, width=20) and max(map(len, written("x" * 500, width=20).split("\n"))) <= 20
    assert written(1) == "1" and written("") == ""


def test_letters_that_no_font_here_has_are_drawn_without_a_word(tmp_path, caplog):
    rng = np.random.default_rng(1)
    odd = "年齢 🐟 ᚠ \ue123 שלום"
    frame = pd.DataFrame({odd: rng.normal(size=40), "y": rng.normal(size=40), "g": rng.choice([f"{odd}a", "b"], 40)})
    frame.iloc[:8, 0] = np.nan
    imp = mifit.impute(frame, f"y ~ Q({odd!r}) + g", m=2, rng=1, iterations=2)
    drawn = imp.plot.density()
    figure = drawn if hasattr(drawn, "savefig") else drawn.figure
    for form in ("png", "svg", "pdf"):
        figure.savefig(tmp_path / f"a.{form}")
    figure._repr_png_()
    pickle.loads(pickle.dumps(figure)).savefig(tmp_path / "b.png", bbox_inches="tight")
    assert not [record for record in caplog.records if "findfont" in record.message]
