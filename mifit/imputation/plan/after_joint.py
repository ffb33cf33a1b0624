"""Columns left out of the joint model (too many, or collinear with the outcome): imputed after it, given all."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ...errors import listed
from .association import strongest
from .chained import method_of
from .defaults import allowed_parameters
from .draft import Draft
from .plan import Piece

__all__ = ["draw_afterwards", "waiting"]


def waiting(draft: Draft, names: Sequence[Hashable]) -> list[Hashable]:
    """Columns among some that have missing values and are drawn after the joint model, fewest first."""
    methods = draft.options.methods
    return sorted((n for n in names if draft.n_missing(n) and methods.get(n) != "leave"), key=draft.n_missing)


def draw_afterwards(
    draft: Draft, names: Sequence[Hashable], usable: Sequence[Hashable], outcomes: Sequence[tuple[Piece, ...]]
) -> None:
    """Plan chained equations for columns that predict nothing in the joint model.

    Parameters
    ----------
    draft : Draft
    names : sequence of hashable
        The columns, in the order of their visits.
    usable : sequence of hashable
        All columns that may predict them, themselves among these.
    outcomes : sequence of tuple of Piece
        The outcomes of the analyses, as predictors of these columns.

    Notes
    -----
    The joint model is untouched: what is drawn here is no predictor of any factor. So each column is a draw from its
    conditional given all that the joint model has drawn before it in the sweep.
    """
    told = [piece for pieces in outcomes for piece in pieces]
    for name in names:
        method, label, why = method_of(draft, name)
        others = [n for n in usable if n != name and not draft.uninformative(n, name)]
        pieces: tuple[Piece, ...] = ()
        shown: tuple[str, ...] = ()
        if name in draft.options.predictors:
            pieces, shown = draft.predictors(name, others, (), draft.table.n_rows - draft.n_missing(name))
        elif label != "sample":
            room = max(allowed_parameters(draft.table, name, draft.table.n_rows - draft.n_missing(name)) - len(told), 2)
            kept = strongest(draft.associations, name, others, (), room)
            mains, words = draft.mains(name, kept)
            pieces, shown = (*told, *mains), ("the outcome", *words)
        draft.add(name, "column", method, label, pieces, shown, f"after the joint model, predicts no other; {why}")
    if names:
        named = listed(map(repr, names), len(names))
        draft.events.append(f"drawn after the joint model, given all other columns, and predicting none: {named}")
