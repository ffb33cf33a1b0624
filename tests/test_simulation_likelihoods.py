"""Bias and coverage for analyses beyond OLS and Logit; run with -m slow, about twenty minutes on two cores."""

import numpy as np
import pytest
from scenarios_likelihoods import ANALYSES, completed, estimates, summarise, with_auxiliary

FRAMES, M, SEED = 200, 10, 7
PAIRS = 60


@pytest.mark.slow
@pytest.mark.parametrize("name", ANALYSES)
def test_estimates_are_unbiased_and_intervals_cover(name):
    analysis = ANALYSES[name]
    for coefficient, found in summarise(analysis, estimates(analysis, FRAMES, M, SEED)).items():
        # 3 standard errors on 39 figures: false alarm below 10 %, and the seed is fixed
        assert abs(found.bias) < max(3 * found.error, 0.02 * abs(found.truth)), (coefficient, found)
        assert found.coverage > 0.93 - 2 * found.coverage_error, (coefficient, found)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ANALYSES if "incomplete" not in name])
def test_an_echo_of_the_outcome_changes_nothing(name):
    plain, echoed = ANALYSES[name], with_auxiliary(ANALYSES[name])
    last = list(plain.truth)[-1]
    gaps = []
    for number in range(PAIRS):
        means = []
        for analysis in (plain, echoed):
            frame = analysis.make(np.random.default_rng([SEED, number]), analysis.n_rows)
            sets = [analysis.fit(one) for one in completed(analysis, frame, M, number)]
            means.append(np.mean([estimate[names.index(last)] for names, estimate, _ in sets]))
        gaps.append(means[1] - means[0])
    # three paired standard errors, eight figures: false alarm 2 %
    assert abs(np.mean(gaps)) < 3 * np.std(gaps, ddof=1) / np.sqrt(PAIRS)


def test_every_analysis_imputes_and_fits_one_frame():
    for name, analysis in ANALYSES.items():
        frame = analysis.make(np.random.default_rng([SEED, 0]), analysis.n_rows)
        for one in completed(analysis, frame, 2, 0, iterations=5):
            assert not one.isna().to_numpy().any(), name
            names, estimate, _ = analysis.fit(one)
            assert set(analysis.truth) <= set(names)
            assert np.isfinite(estimate).all()
