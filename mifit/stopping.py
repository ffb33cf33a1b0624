"""What is left where an imputation stops before its end: finished sets, what happened, the call that goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .errors import ImputationError, Interrupted, MifitError, StorageError
from .impute.chain import Chain, Seed
from .impute.plan import Plan
from .imputing import as_call
from .workers import Halted, died

__all__ = ["call_again", "salvaged"]

_LONGEST = 400  # characters of a call that is printed


def call_again(
    plan: Plan, model: Any, keywords: Mapping[str, Any], m: int, seed: Seed | None, checkpoint: Any = None
) -> str:
    """Return the call of ``impute`` that makes the same chains, with a folder that keeps them.

    Parameters
    ----------
    plan : Plan
    model : str, list of str or None
    keywords : mapping
        Of the model.
    m : int
    seed : Seed, optional
        None where none was given: the call then has one.
    checkpoint : path, optional
        By default a folder "chains".

    Returns
    -------
    str
        Without the wishes where they cannot be written in a line.
    """
    formulas = plan.written or tuple(question.formula for question in plan.questions)
    text = as_call(formulas, model, keywords, plan, m, seed).replace("impute([]", "impute(None")
    if "rng=" not in text:
        key = "" if seed is None or not seed.key else f", spawn_key={tuple(seed.key)}"
        text = f"{text[:-1]}, rng={1 if seed is None else f'np.random.SeedSequence({seed.entropy}{key})'})"
    if len(text) > _LONGEST or "\n" in text or " object at 0x" in text or "<function" in text:
        text = "imp = df.mice.impute(...)"
    return f"{text[:-1]}, checkpoint={'chains' if checkpoint is None else str(checkpoint)!r})"


@contextlib.contextmanager
def salvaged(
    make: Callable[[Sequence[Chain]], Any], m: int, again: Callable[[], str], checkpoint: Any = None
) -> Iterator[None]:
    """Whatever stops chains before all m are finished carries an ImputedSet of the finished ones, as ``partial``.

    Parameters
    ----------
    make : callable
        Makes an ImputedSet from chains.
    m : int
        How many chains there should have been.
    again : callable
        Gives the call that goes on from a folder of finished chains.
    checkpoint : path, optional
        Where finished chains are.
    """
    try:
        yield
    except Halted as halted:
        cause, done, partial = halted.cause, len(halted.finished), None
        if done >= 2:
            with contextlib.suppress(Exception):  # what stopped the chains is what is told
                partial = make(halted.finished)
        lost = checkpoint is not None and isinstance(cause, StorageError)  # the folder cannot keep them
        if partial is not None and (checkpoint is None or lost):
            more = f".extend(m={m - done})" if m > done else ""
            do = f"import sys; stopped = sys.last_value; imp = stopped.partial{more}"
        else:
            do = again() + ("  # the same call again" if checkpoint is not None else "")
        where = "" if partial is None and (checkpoint is None or lost) else "in the error's partial"
        if checkpoint is not None and not lost:
            where = f"in {str(checkpoint)!r}"
        cause = _told(halted, f"{done} of {m} chains are finished", do, where)
        with contextlib.suppress(AttributeError):
            cause.partial = partial  # type: ignore[attr-defined]
        raise cause from None if isinstance(cause, Interrupted) else cause.__cause__


def _told(halted: Halted, finished: str, do: str, where: str) -> BaseException:
    """What stopped the chains, with what is finished and how to go on."""
    cause = halted.cause
    lines = {"finished": where} if where else {}
    told: MifitError
    if isinstance(cause, KeyboardInterrupt):
        return Interrupted(f"{finished}; to go on: {do}")
    if died(cause):
        begun = ", ".join(map(str, halted.begun))
        what = (
            f"while it drew {'chain' if len(halted.begun) == 1 else 'chains'} {begun}" if begun else "before it began"
        )
        lines = {"reason": "a process was killed from outside, most often because memory ran out", **lines}
        told = ImputationError(f"a worker died {what}; {finished}.", do=do, **lines)
    elif isinstance(cause, MemoryError) or isinstance(cause.__cause__, MemoryError):
        said = cause.fact.rstrip(".") if isinstance(cause, MifitError) else "memory ran out"
        told = ImputationError(f"{said}; {finished}.", do=do, **lines)
    elif isinstance(cause, StorageError) and cause.do is not None and cause.do.startswith("imp.save("):
        told = StorageError(f"{cause.fact.rstrip('.')}; {finished}.", do=do, **lines)
    else:
        return cause
    told.__cause__ = cause
    return told
