"""The statistical choices of a plan, each at the border where it turns."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mifit.frame.table import read
from mifit.imputation.plan.defaults import (
    allowed_parameters,
    is_identifier,
    is_monotone,
    main_effects,
    nearly_determines,
    normal_or_power,
)


def table(**columns):
    return read(pd.DataFrame(columns))


def with_skewness(n, skewness, positive=False):
    """Numbers whose sample skewness is known: quantiles of a shifted gamma, tuned by bisection."""
    share = (np.arange(n) + 0.5) / n
    low, high = 1e-3, 4.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        x = stats.pearson3(middle).ppf(share)
        low, high = (middle, high) if stats.skew(x) < skewness else (low, middle)
    return x / x.std() + (100.0 if positive else 0.0)


@pytest.mark.parametrize("n", [40, 200, 1000])
@pytest.mark.parametrize("unit", [1e-9, -1.0, 1e9])
def test_power_is_chosen_when_the_skewness_of_residuals_passes_its_border(n, unit):
    border = max(0.25, 2 * np.sqrt(6 / n))
    below, above = with_skewness(n, border - 0.01), with_skewness(n, border + 0.01)
    assert normal_or_power(table(x=unit * below), "x", [], False)[0] == "norm"
    assert normal_or_power(table(x=unit * above), "x", [], False)[0] == "power"


def test_skewness_is_that_of_residuals_not_of_the_column():
    rng = np.random.default_rng(1)
    z = np.exp(rng.standard_normal(400))
    x = 5 * z + rng.standard_normal(400)
    found = table(x=x, z=z)
    assert normal_or_power(found, "x", [], False)[0] == "power"
    assert normal_or_power(found, "x", ["z"], False)[0] == "norm"


def test_skewness_is_judged_on_complete_rows():
    rng = np.random.default_rng(2)
    z, x = rng.standard_normal((2, 300))
    x[250:] = np.exp(3 + rng.standard_normal(50))
    z[250:] = np.nan
    found = table(x=x, z=z)
    assert normal_or_power(found, "x", ["z"], False)[0] == "norm"
    assert normal_or_power(found, "x", [], False)[0] == "power"


@pytest.mark.parametrize(("centre", "method"), [(2.0, "power"), (2.6, "norm")])
def test_power_is_chosen_when_a_normal_would_put_more_than_one_in_a_hundred_below_nought(centre, method):
    # The border is a mean of 2.326 standard deviations.
    x = stats.norm.ppf((np.arange(60) + 0.5) / 60)
    x = centre * x.std() + x
    x = np.where(x > 0, x, 0.01)
    assert normal_or_power(table(x=x), "x", [], False)[0] == method
    assert normal_or_power(table(x=np.append(x[:-1], -0.001)), "x", [], False)[0] == "norm"


def test_power_is_chosen_when_the_formula_needs_a_positive_number():
    x = 100 + stats.norm.ppf((np.arange(60) + 0.5) / 60)
    assert normal_or_power(table(x=x), "x", [], True) == ("power", "the formula needs it positive")
    assert normal_or_power(table(x=x - 100), "x", [], True)[0] == "norm"


def test_a_column_without_spread_is_norm():
    found = table(x=np.r_[np.full(30, 2.5), np.nan], z=np.arange(31.0))
    assert normal_or_power(found, "x", ["z"], False)[0] == "norm"


@pytest.mark.parametrize("unit", [1e-9, -1.0, 1e9])
@pytest.mark.parametrize(("least", "most"), [(0.0, np.inf), (-np.inf, 1.2), (0.3, 3.0)])
def test_a_normal_that_is_cut_off_is_a_normal(least, most, unit):
    # Skewness 0.25 and 2 sqrt(6/n) is a border of 2 standard errors and more: 40 frames, at most 6 false alarms.
    wrong = blind = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 3])
        z = rng.standard_normal(300)
        law = stats.truncnorm(least - 0.5 - 0.4 * z, most - 0.5 - 0.4 * z, loc=0.5 + 0.4 * z)
        x = law.rvs(random_state=rng)
        ends = np.sort([unit * least, unit * most])
        limits = np.full(300, ends[0]), np.full(300, ends[1])
        found = table(x=unit * x, z=z)
        wrong += normal_or_power(found, "x", ["z"], False, limits)[0] == "power"
        blind += normal_or_power(found, "x", ["z"], False)[0] == "power"
    assert wrong <= 6
    assert blind > wrong


def test_without_limits_that_bind_the_choice_and_its_reason_stay():
    rng = np.random.default_rng(4)
    x, far = np.exp(rng.standard_normal(300)), np.full(300, np.inf)
    assert normal_or_power(table(x=x), "x", [], False, (-far, far)) == normal_or_power(table(x=x), "x", [], False)


def test_a_skewed_column_that_is_cut_off_is_skewed():
    rng = np.random.default_rng(5)
    x = np.exp(rng.standard_normal(2000))
    x = x[x < 4]
    limits = np.full(len(x), 0.0), np.full(len(x), 4.0)
    assert normal_or_power(table(x=rng.permutation(x)), "x", [], False, limits)[0] == "power"


def test_main_effects_are_numbers_or_indicators_with_holes_kept():
    found = table(x=[1.5, np.nan, 3.0, 4.0], g=pd.Categorical(["a", "c", None, "b"]), r=[1.0, 3.0, 2.0, np.nan])
    rows = np.arange(4)
    np.testing.assert_array_equal(main_effects(found, "x", rows), [[1.5], [np.nan], [3.0], [4.0]])
    np.testing.assert_array_equal(main_effects(found, "g", rows), [[0, 0], [0, 1], [np.nan] * 2, [1, 0]])
    np.testing.assert_array_equal(main_effects(found, "r", rows), [[1.0], [3.0], [2.0], [np.nan]])


def test_a_linear_conditional_may_have_a_third_of_its_rows_as_parameters():
    found = table(x=np.arange(100) * 1.5, b=np.repeat(["n", "y"], [80, 20]), g=np.repeat(["a", "b", "c"], [50, 30, 20]))
    assert allowed_parameters(found, "x", 99) == 33
    assert allowed_parameters(found, "b", 100) == 4  # 20 events
    assert allowed_parameters(found, "g", 100) == 10  # 50 outside the largest level


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_copy_of_the_outcome_is_found_by_values_and_by_ranks(unit):
    rng = np.random.default_rng(7)
    y = rng.standard_normal(300) + 6
    noise = rng.standard_normal(300)
    found = read(pd.DataFrame({
        "same": unit * y, "log": np.log(y) * unit, "steep": np.exp(y) * unit, "falling": -unit * y**3,
        "near": unit * (y + 0.1 * noise), "half": unit * (y + noise), "classes": pd.cut(y, 12).astype(str),
        "coarse": pd.Categorical(np.where(y > 6, "high", "low")), "noise": noise,
    }))  # fmt: skip
    for name, is_copy in (("same", True), ("log", True), ("steep", True), ("falling", True), ("near", True),
                          ("half", False), ("coarse", False), ("noise", False)):  # fmt: skip
        assert nearly_determines(found, name, y) is is_copy, name


def test_the_outcome_in_fine_classes_is_a_copy_and_holes_do_not_hide_it():
    y = np.random.default_rng(8).standard_normal(2000)
    classes = pd.qcut(y, 40).codes.astype(str)
    found = table(classes=classes, hole=np.where(np.arange(2000) % 3 == 0, np.nan, y))
    assert nearly_determines(found, "classes", np.digitize(y, np.quantile(y, np.arange(1, 40) / 40)) * 1.0)
    assert nearly_determines(found, "hole", np.where(np.arange(2000) % 5 == 0, np.nan, y))


def test_too_few_rows_or_a_constant_outcome_determine_nothing():
    found = table(a=np.arange(4.0) + 0.5, b=[0.5, 1.5, 2.5, 4.5])
    assert not nearly_determines(found, "a", np.arange(4.0))
    assert not nearly_determines(table(a=np.arange(40.0) ** 2), "a", np.ones(40))


def test_identifiers_are_unique_text_and_running_numbers():
    n = 30
    rng = np.random.default_rng(9)
    found = table(
        text=[f"p{i}" for i in range(n)], twice=[f"p{i // 2}" for i in range(n)],
        often=[f"p{i // 3}" for i in range(n)], index=np.arange(n), shuffled=rng.permutation(n) + 500,
        gaps=2 * np.arange(n), real=np.arange(n) + 0.5, holes=pd.array([*range(1, n), None], dtype="Int64"),
        few=[f"p{i % 10}" for i in range(n)],
    )  # fmt: skip
    named = {name for name in found.columns if is_identifier(found, name)}
    assert named == {"text", "index", "shuffled"}
    assert not is_identifier(table(text=list("abcdefgh")), "text")


def test_a_running_number_from_nought_is_an_identifier_too():
    assert is_identifier(table(index=np.arange(300)), "index")
    assert is_identifier(table(index=np.arange(30)), "index")


def test_holes_are_monotone_when_each_columns_lie_within_the_nexts():
    one, two, three = (np.arange(20.0) + 0.5 for _ in range(3))
    one[18:], two[15:], three[10:] = np.nan, np.nan, np.nan
    found = table(a=one, b=two, c=three)
    assert is_monotone(found, ["a", "b", "c"])
    assert is_monotone(found, ["a", "c"])
    assert not is_monotone(found, ["b", "a", "c"])
    two[0] = np.nan
    assert not is_monotone(table(a=one, b=two, c=three), ["a", "b", "c"])
