"""A folder of finished chains, from which a run that was stopped goes on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import StorageError
from ..frame.table import Table
from ..impute.chain import Chain, Seed
from ..impute.plan import Plan
from .study import digest, read_chain, write_chain

__all__ = ["Checkpoint"]


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
        self.folder = Path(folder)
        self.of = {"frame": digest(table), "plan": digest(plan), "seed": digest(seed)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            first = min(self.folder.glob("chain-*.mifit"), default=None)
        except OSError as error:
            raise StorageError(
                f"checkpoint={str(folder)!r} cannot be used: {error.strerror or error}.",
                do='df.mice.impute(checkpoint="chains")',
            ) from error
        if first is not None:
            self._read(first)

    def found(self, numbers: Sequence[int], sweeps: int) -> dict[int, Chain]:
        """Those of some chains that are finished, by number."""
        paths = {number: self._path(number, sweeps) for number in numbers}
        return {number: self._read(path) for number, path in paths.items() if path.exists()}

    def keep(self, chain: Chain) -> None:
        """Write a finished chain, whole or not at all."""
        write_chain(self._path(chain.number, chain.sweeps), chain, self.of)

    def _path(self, number: int, sweeps: int) -> Path:
        return self.folder / f"chain-{number:05d}-{sweeps:05d}.mifit"

    def _read(self, path: Path) -> Chain:
        """A chain of this very run; one of another is refused."""
        chain, of = read_chain(path)
        other = [what for what, told in self.of.items() if of.get(what) != told]
        if other:
            raise StorageError(
                f"checkpoint={str(self.folder)!r} holds chains of another {' and '.join(other)}.",
                do=f'df.mice.impute(checkpoint="{self.folder}-2")  # or empty that folder',
            )
        return chain
