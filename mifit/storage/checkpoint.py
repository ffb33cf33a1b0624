"""A folder of finished chains, from which a run that was stopped goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..calls import Advice
from ..errors import StorageError, StorageWarning, call, warn
from ..files import path_of, way_back
from ..frame.table import Table
from ..imputation.plan.plan import Plan
from ..imputation.sampler.chain import Chain
from ..imputation.seed import Seed
from .study import digest, read_chain, write_chain

__all__ = ["Checkpoint"]

_NAME = "chains"


def _into(folder: str) -> Advice:
    """The call that keeps its chains in another folder."""
    return call("df.mice.impute", checkpoint=folder)


class Checkpoint:
    """Finished chains of one frame, plan and seed, each in a file of its own.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    table : Table
    plan : Plan
    seed : Seed

    Raises
    ------
    StorageError
        If the folder cannot be used, or holds chains of another frame, plan or seed; it says of which.
    """

    def __init__(self, folder: str | os.PathLike[str], table: Table, plan: Plan, seed: Seed) -> None:
        try:
            self.folder = Path(path_of(folder, "{}", _NAME))
        except StorageError as error:
            raise StorageError(error.fact, do=_into(_NAME)) from None
        self.of = {"frame": digest(table), "plan": digest(plan), "seed": digest(seed)}
        self.lost: StorageError | None = None  #: why a finished chain could not be kept
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            there = sorted(self.folder.glob("chain-*.mifit"))
        except OSError as error:
            is_file = os.path.exists(folder) and not os.path.isdir(folder)
            back = way_back(str(folder))
            gone = "the working directory was removed" if back else str(error.strerror or error)
            raise StorageError(
                f"checkpoint={str(folder)!r:.120} cannot be used: {'it is no folder' if is_file else gone}.",
                do=back or _into(_NAME),
            ) from error
        for path in there:
            if self._read(path) is not None:  # one that can be read says of what they all are
                break

    def found(self, numbers: Sequence[int], sweeps: int) -> dict[int, Chain]:
        """Those of some chains that are finished, by number; a file that is no such chain is told and left out.

        Warns
        -----
        StorageWarning
            If a file is cut, changed, or a copy of another chain's under this chain's name: it is drawn again.
        """
        known = {}
        for number in numbers:
            path = self._path(number, sweeps)
            if not os.path.lexists(path):
                continue
            chain = self._read(path)
            if chain is not None and (chain.number, chain.sweeps) == (number, sweeps):
                known[number] = chain
                continue
            what = "is damaged" if chain is None else f"holds chain {chain.number} after {chain.sweeps} iterations"
            text = f"{str(path)!r} {what}: chain {number} is drawn again, and the file replaced."
            warn(text, StorageWarning)
        return known

    def keep(self, chain: Chain) -> None:
        """Write a finished chain, whole or not at all; what the disk refuses is held in ``lost``."""
        try:
            write_chain(self._path(chain.number, chain.sweeps), chain, self.of)
        except StorageError as error:
            self.lost = error

    def _path(self, number: int, sweeps: int) -> Path:
        return self.folder / f"chain-{number:05d}-{sweeps:05d}.mifit"

    def _read(self, path: Path) -> Chain | None:
        """A chain of this very run; one of another is refused, None where the file is no chain."""
        try:
            chain, of = read_chain(path)
        except StorageError as error:
            if error.do is not None and error.do.startswith("pip "):  # a later mifit can read it
                raise
            return None
        other = [what for what, told in self.of.items() if of.get(what) != told]
        if other:
            raise StorageError(
                f"checkpoint={str(self.folder)!r} holds chains of another {' and '.join(other)}.",
                do=_into(f"{self.folder}-2").then("  # or empty that folder"),
            )
        return chain
