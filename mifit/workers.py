"""Jobs one after the other or through joblib: how far they are, and what stays when one of them cannot go on."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

import numpy as np

from .errors import PlanError, StorageError, call
from .files import way_back

__all__ = ["Board", "Halted", "Parcel", "alone", "died", "run_jobs"]

_ALIGNED = 64  # bytes: arrays in a parcel begin where arithmetic likes them to
_WATCH = 0.1  # seconds between looks at the board


class Halted(Exception):
    """Jobs were stopped before all were done.

    Attributes
    ----------
    finished : list
        What the finished jobs gave, in the order of the jobs.
    begun : list of int
        Positions of jobs that were begun and not finished.
    cause : BaseException
        A KeyboardInterrupt, the death of a worker, or the error of a job.
    """

    def __init__(self, finished: Sequence[Any], begun: Sequence[int], cause: BaseException) -> None:
        super().__init__(str(cause))
        self.finished, self.begun, self.cause = list(finished), list(begun), cause


def died(cause: BaseException) -> bool:
    """Whether an error says that a worker died, as under the system's out-of-memory killer."""
    return isinstance(cause, BrokenExecutor) or type(cause).__name__ == "KilledWorker"


class Board:
    """A small file that workers write their progress on, one number a job: 0 while it waits, 1 + steps done after that.

    Where a worker does not share the disk, its jobs count when they come back.
    """

    def __init__(self, path: str, n_jobs: int) -> None:
        self.path, self.n_jobs = path, n_jobs

    def marks(self) -> Any:
        """The numbers, shape (n_jobs,); None where the file cannot be reached."""
        try:
            return np.memmap(self.path, dtype=np.int64, mode="r+", shape=(self.n_jobs,))
        except OSError:
            return None

    def counting(self, position: int) -> Callable[[], None]:
        """What a job calls after each of its steps; calling this marks it as begun."""
        marks = self.marks()
        if marks is None:
            return lambda: None
        marks[position] = 1

        def step() -> None:
            marks[position] += 1

        return step

    @classmethod
    def put_up(cls, folder: str, n_jobs: int) -> Board:
        """A board for some jobs."""
        board = cls(os.path.join(folder, "board"), n_jobs)
        np.zeros(n_jobs, dtype=np.int64).tofile(board.path)
        return board


class Parcel:
    """What all jobs share, in a file that the workers of this machine open once each and map into their memory.

    joblib would map arrays too, but waits a second at the end for workers that still hold them.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parcel = Parcel.wrapped({"x": np.arange(3.0)}, folder)
    ...     parcel.opened()["x"]
    array([0., 1., 2.])
    """

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def wrapped(cls, shared: Any, folder: str) -> Parcel:
        """Write something that pickles, functions of a script among it: its pickle, then the arrays beneath it."""
        try:
            import cloudpickle
        except ImportError:  # joblib had it inside
            from joblib.externals import cloudpickle
        beneath: list[pickle.PickleBuffer] = []
        pieces = [cloudpickle.dumps(shared, protocol=5, buffer_callback=beneath.append)]
        pieces += [buffer.raw() for buffer in beneath]
        parcel = cls(os.path.join(folder, "parcel"))
        with open(parcel.path, "wb") as file:
            np.array([len(pieces), *map(len, pieces)], dtype=np.int64).tofile(file)
            for piece in pieces:
                file.write(bytes(-file.tell() % _ALIGNED))
                file.write(piece)
        return parcel

    def opened(self) -> Any:
        """What was written; its arrays are read-only views of the file."""
        held = _OPEN[0]
        if held is None or held[0] != self.path:
            _OPEN[0] = held = (self.path, self._read())
        return held[1]

    def _read(self) -> Any:
        raw = np.memmap(self.path, np.uint8, "r") if os.name == "posix" else np.fromfile(self.path, np.uint8)
        many = int(raw[:8].view(np.int64)[0])
        begin, pieces = 8 + 8 * many, []
        for size in raw[8:begin].view(np.int64).tolist():
            begin += -begin % _ALIGNED
            pieces.append(raw[begin : begin + size].data)
            begin += size
        return pickle.loads(pieces[0], buffers=pieces[1:])


#: the parcel that was opened last in this process: jobs come each in a pickle of its own, what they share comes once
_OPEN: list[tuple[str, Any] | None] = [None]


def alone(n_jobs: int | None) -> bool:
    """Whether jobs run here, one after the other: one worker is asked for, or none and joblib was not configured."""
    if n_jobs is not None and (not isinstance(n_jobs, int | np.integer) or n_jobs == 0):
        raise PlanError(
            f"n_jobs is {n_jobs!r}; a number of workers is needed, -1 for one on every core.",
            do=call("df.mice.impute", n_jobs=-1),
        )
    if n_jobs is None and "joblib" not in sys.modules:  # nobody can have configured it
        return True
    if n_jobs is None:
        from joblib.parallel import get_active_backend

        backend, n_jobs = get_active_backend()
        n_jobs = getattr(backend, "default_n_jobs", 1) if n_jobs is None else n_jobs
    return n_jobs == 1


def run_jobs(
    work: Callable[[Any, Callable[[], None]], Any], jobs: Sequence[Any], n_jobs: int | None, *,
    tick: Callable[[int], Any] | None = None, keep: Callable[[Any], Any] | None = None,
) -> list[Any]:  # fmt: skip
    """Do some jobs, here or in workers.

    Parameters
    ----------
    work : callable
        Takes a job and a function to be called after each of its steps; gives its result. It must pickle.
    jobs : sequence
    n_jobs : int, optional
        joblib workers; None follows an ambient ``joblib.parallel_config``.
    tick : callable, optional
        Told how many steps were done since it was told last.
    keep : callable, optional
        Given each result as soon as it is there.

    Returns
    -------
    list
        Results in the order of the jobs.

    Raises
    ------
    Halted
        If a job fails, a worker dies or the keyboard interrupts; it holds what was finished.

    Examples
    --------
    >>> run_jobs(lambda job, step: job * 10, [1, 2, 3], 1)
    [10, 20, 30]
    """
    here = len(jobs) < 2 or alone(n_jobs)
    found: dict[int, Any] = {}
    begun: list[int] = []
    results: Any = _here(work, jobs, tick, begun) if here else _there(work, jobs, n_jobs, tick, begun)
    try:
        with contextlib.closing(results):
            for position, result in results:
                found[position] = result
                if keep is not None:
                    keep(result)
    except (Exception, KeyboardInterrupt) as error:
        open_ = [position for position in begun if position not in found]
        raise Halted([found[position] for position in sorted(found)], open_, error) from error
    return [found[position] for position in range(len(jobs))]


def _here(work: Any, jobs: Sequence[Any], tick: Any, begun: list[int]) -> Iterator[tuple[int, Any]]:
    """Jobs one after the other, in this process."""
    for position, job in enumerate(jobs):
        begun[:] = [position]
        yield position, work(job, (lambda: None) if tick is None else (lambda: tick(1)))


def _there(work: Any, jobs: Sequence[Any], n_jobs: int | None, tick: Any, begun: list[int]) -> Any:
    """Jobs in workers, in the order in which they finish."""
    import joblib
    from joblib import parallel

    backend = parallel.get_active_backend()[0]
    with contextlib.ExitStack() as held:
        with _told_of_disk():
            folder = held.enter_context(_folder())
            board = Board.put_up(folder, len(jobs))
            # Workers elsewhere may not share the disk, threads share the memory.
            near = isinstance(backend, (parallel.LokyBackend, parallel.MultiprocessingBackend))
            shared = Parcel.wrapped(work, folder) if near else work
        marks = board.marks()
        as_they_come = "generator_unordered" if getattr(backend, "supports_return_generator", False) else "list"
        pool = joblib.Parallel(n_jobs=n_jobs, return_as=as_they_come, max_nbytes=None, batch_size=1)
        try:
            with _watched(marks, tick):
                with _told_of_start() if as_they_come != "list" else contextlib.nullcontext():
                    results = pool(joblib.delayed(_marked)(shared, job, at, board) for at, job in enumerate(jobs))
                with contextlib.nullcontext() if isinstance(results, list) else contextlib.closing(results):
                    yield from results
        finally:
            begun[:] = np.flatnonzero(marks).tolist()
            del marks


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """A folder for files that workers read, where joblib has its own; it goes even if this process is killed."""
    from joblib.externals.loky.backend import resource_tracker

    where = os.environ.get("JOBLIB_TEMP_FOLDER")
    if where:
        os.makedirs(where, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mifit-", dir=where, ignore_cleanup_errors=True) as folder:
        resource_tracker.register(folder, "folder")
        try:
            yield folder
        finally:
            resource_tracker.unregister(folder, "folder")


@contextlib.contextmanager
def _told_of_disk() -> Iterator[None]:
    """A folder for workers that cannot be used is told, with what to set."""
    try:
        yield
    except OSError as error:
        where, why = os.environ.get("JOBLIB_TEMP_FOLDER"), error.strerror or error
        raise StorageError(
            f"workers share their data in {f'JOBLIB_TEMP_FOLDER={where!r}' if where else 'a temporary folder'}, "
            f"which cannot be used: {why}.",
            do='import os; os.environ.pop("JOBLIB_TEMP_FOLDER")  # and the same call again'
            if where
            else 'import os, tempfile; tempfile.tempdir = os.path.expanduser("~")  # and the same call again',
        ) from error


@contextlib.contextmanager
def _told_of_start() -> Iterator[None]:
    """Workers that cannot start are told, with what helps."""
    try:
        yield
    except OSError as error:
        gone = way_back(".")
        raise StorageError(
            f"no worker could start: {'the working directory was removed' if gone else error.strerror or error}.",
            do=gone or 'import joblib; joblib.parallel_config(backend="threading")  # and the same call again',
        ) from error


def _marked(shared: Any, job: Any, position: int, board: Board) -> tuple[int, Any]:
    """One job in a worker."""
    work = shared.opened() if isinstance(shared, Parcel) else shared
    return position, work(job, board.counting(position))


@contextlib.contextmanager
def _watched(marks: Any, tick: Callable[[int], Any] | None) -> Iterator[None]:
    """Tell how many steps were done while the jobs are running."""
    if tick is None:
        yield
        return
    done, told = threading.Event(), [0]

    def tell() -> None:
        steps = int(np.maximum(marks - 1, 0).sum())
        if steps > told[0]:
            tick(steps - told[0])
            told[0] = steps

    def watch() -> None:
        while not done.wait(_WATCH):
            tell()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        tell()
