"""When an imputation stops before its end: the finished sets, the reason, and the call that continues it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..calls import Advice, Code
from ..errors import ImputationError, Interrupted, MifitError, StorageError, call
from ..imputation.sampler.chain import Chain
from ..imputation.seed import Seed
from ..record.request import IMPUTE, code_of_seed
from ..workers import Halted, died

__all__ = ["call_again", "salvaged"]


def call_again(request: Advice, seed: Seed, checkpoint: Any = None) -> Advice:
    """Return the call of ``impute`` that makes the same chains, with a folder that keeps them.

    Parameters
    ----------
    request : Advice
        As the user wrote it.
    seed : Seed
        The seed actually used; printed if rng= was not a whole number.
    checkpoint : path, optional
        By default a folder "chains".
    """
    folder = "chains" if checkpoint is None else str(checkpoint)
    words = {"checkpoint": folder}
    if not (request.words.get("rng") or request.words.get("random_state") or "").isdecimal():
        words["rng"] = Code(code_of_seed(seed))
    known = call(IMPUTE, **words, **({"random_state": None} if "rng" in words else {}))
    return known.after("imp = ").joined(request)


@contextlib.contextmanager
def salvaged(
    make: Callable[[Sequence[Chain]], Any], m: int, again: Callable[[], Advice], checkpoint: Any = None
) -> Iterator[None]:
    """Context manager: if imputation stops early, attach the finished sets to the error as `partial`.

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
            do: str = f"import sys; stopped = sys.last_value; imp = stopped.partial{more}"
        else:
            do = again().then("  # the same call again" if checkpoint is not None else "")
        where = "" if partial is None and (checkpoint is None or lost) else "in the error's partial"
        if checkpoint is not None and not lost:
            where = f"in {str(checkpoint)!r}"
        cause = _told(halted, f"{done} of {m} chains are finished", do, where)
        with contextlib.suppress(AttributeError):
            cause.partial = partial  # type: ignore[attr-defined]
        raise cause from None if isinstance(cause, Interrupted) else cause.__cause__


def _told(halted: Halted, finished: str, do: str, where: str) -> BaseException:
    """The error that stopped the chains, with the number of finished ones and the call that continues."""
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
