"""Sets in which the values of a column, or of all, follow from others: every verb of an imputed set works."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

import mifit
from support.mixed_kinds import same

matplotlib.use("Agg")
_G = np.random.default_rng(0)
_SUBJECTS = pd.DataFrame({"id": np.repeat(range(60), 5)}).assign(
    x=lambda d: _G.normal(size=60)[d["id"]], y=lambda d: d["x"] + _G.normal(size=300)
)
_PARTS = pd.DataFrame({"a": _G.normal(size=200), "b": _G.normal(size=200)}).assign(
    s=lambda d: d["a"] + d["b"], y=lambda d: d["a"] + _G.normal(size=200)
)


def without(frame, *names):
    """A frame with a fifth of some columns missing, never all rows of a subject."""
    frame = frame.copy()
    for k, name in enumerate(names):
        frame[name] = frame[name].mask(np.arange(len(frame)) % 5 == k)
    return frame


SETS = {
    "of the same id": (without(_SUBJECTS, "x"), "y ~ x", {"id": "id"}),
    "of the same id, the outcome drawn": (without(_SUBJECTS, "x", "y"), "y ~ x", {"id": "id"}),
    "of the same id, by group": (
        without(_SUBJECTS, "x", "y").assign(g=lambda d: d["id"] % 2), "y ~ x", {"id": "id", "by": "g"}
    ),
    "of the same id, terms": (without(_SUBJECTS, "x"), "y ~ x", {"id": "id", "congeniality": "terms"}),
    "of the same id, no analysis": (without(_SUBJECTS, "x"), None, {"id": "id"}),
    "parent of a derived column": (without(_PARTS, "a"), "y ~ a + b", {"derived": {"s": "a + b"}}),
    "parent, the outcome drawn": (without(_PARTS, "a", "y"), "y ~ a + b", {"derived": {"s": "a + b"}}),
    "complete": (_PARTS[["a", "y"]], "y ~ a", {}),
    "complete, no analysis": (_PARTS[["a", "y"]], None, {}),
}  # fmt: skip


@pytest.fixture(params=SETS, scope="module")
def case(request):
    """An imputed set, the frame it was made of, and the truth."""
    frame, formula, words = SETS[request.param]
    truth = _SUBJECTS if "id" in frame else _PARTS
    return mifit.impute(frame, formula, m=2, iterations=2, rng=1, **words), frame, truth


def test_what_follows_is_what_was_there(case):
    imp, frame, truth = case
    for name in {"x", "a"} & {*frame.columns}:
        np.testing.assert_allclose(imp[0][name], truth[name], rtol=1e-12, atol=1e-12)


def test_it_is_printed_and_reported(case, tmp_path):
    imp, frame, _ = case
    for text in (repr(imp), imp._repr_html_(), imp.methods_text(), str(imp.plan)):
        assert text
    for name in {"x", "a"} & {*frame.columns[frame.isna().any()]}:
        assert "known without a draw" in next(one for one in repr(imp).split("\n") if one.startswith(f"  {name} "))
        assert "known without a draw" in imp._repr_html_()
    imp.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 0


def test_it_is_judged(case):
    imp, frame, _ = case
    filled = {*frame.columns[frame.isna().any()]}
    assert {*imp.check_values()["column"]} == filled
    for found in (imp.convergence(), imp.trace, imp.events, imp.to_long()):
        assert isinstance(found, pd.DataFrame)
    if imp.plan.questions:
        assert isinstance(imp.check(), pd.DataFrame)
        assert np.isfinite(imp.fit().params).all()


def test_each_cell_is_explained(case):
    imp, frame, truth = case
    for name in frame.columns[frame.isna().any()]:
        row = frame.index[frame[name].isna()][0]
        found = imp.explain(row, name)
        assert repr(found)
        if name in ("x", "a"):
            np.testing.assert_allclose(found.values, truth.loc[row, name], rtol=1e-12)


def test_pictures_are_drawn_or_refused_in_words(case):
    imp, frame, _ = case
    filled = [*frame.columns[frame.isna().any()]]
    drawn = {"trace": bool(imp.plan.order), "density": bool(filled), "strip": bool(filled)}
    for picture, possible in drawn.items():
        if possible:
            getattr(imp.plot, picture)()
            continue
        with pytest.raises(mifit.MifitError, match="nothing was imputed"):
            getattr(imp.plot, picture)()


def test_it_is_stored_and_goes_on(case, tmp_path):
    imp, _, _ = case
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")
    same(back, imp)
    of_draws = [line for line in repr(imp).splitlines() if "models   :" not in line]  # another test checked the models
    assert repr(back).splitlines() == of_draws
    same(back.extend(m=1), imp.extend(m=1))
