"""Faults: dead workers, the keyboard, folders of finished chains; what is finished is kept and goes on, bit for bit."""

import functools
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest

import mifit
from mifit.imputation.sampler import runs as chains
from mifit.workers import Board, Halted, Parcel, alone, run_jobs
from support.mixed_kinds import mixed, same

pytestmark = pytest.mark.filterwarnings("ignore:.*but imputed independently")  # frames of columns made of others

WORDS = {"formula": "y ~ x * z + g", "iterations": 3, "rng": 7}


def interrupting(monkeypatch, at, what=KeyboardInterrupt):
    """Chains of this process, of which one is interrupted in its first sweep."""
    real = chains._chain

    def sometimes(engine, number, *rest):
        if number == at:
            raise what
        return real(engine, number, *rest)

    monkeypatch.setattr(chains, "_chain", sometimes)


# Jobs


def ten_times(job, step):
    step()
    return job * 10


def test_results_come_in_the_order_of_the_jobs_and_steps_are_counted():
    for n_jobs in (1, 2):
        counted, kept = [], []
        assert run_jobs(ten_times, range(6), n_jobs, tick=counted.append, keep=kept.append) == [0, 10, 20, 30, 40, 50]
        assert sum(counted) == 6
        assert sorted(kept) == [0, 10, 20, 30, 40, 50]


def fails_at_two(job, step):
    if job == 2:
        time.sleep(0.5)
        raise ValueError("two")
    return job


def test_what_was_finished_before_a_failure_is_kept():
    for n_jobs in (1, 2):
        with pytest.raises(Halted) as caught:
            run_jobs(fails_at_two, range(4), n_jobs)
        assert {0, 1} <= set(caught.value.finished)
        assert 2 in caught.value.begun
        assert isinstance(caught.value.cause, ValueError)


def test_jobs_stay_here_unless_workers_are_asked_for_or_configured():
    assert alone(1) and alone(None) and not alone(2) and not alone(-1)
    with joblib.parallel_config(n_jobs=2):
        assert not alone(None) and alone(1)
    with joblib.parallel_config(backend="threading", n_jobs=1):
        assert alone(None)


def test_a_board_that_cannot_be_reached_counts_nothing(tmp_path):
    board = Board(str(tmp_path / "not there"), 3)
    board.counting(1)()
    assert board.marks() is None


def seen(large, job, step):
    """Of a shared array: whether it can be written to, its file, its sum."""
    base = large
    while base is not None and not isinstance(base, np.memmap):
        base = base.obj if isinstance(base, memoryview) else base.base
    return large.flags.writeable, getattr(base, "filename", None), float(large.sum())


def test_what_jobs_share_is_mapped_once_and_not_sent():
    large = np.arange(50_000.0)
    found = run_jobs(functools.partial(seen, large), range(4), 2)
    assert {total for _, _, total in found} == {large.sum()}
    assert not any(writeable for writeable, _, _ in found)
    assert len({path for _, path, _ in found}) == 1 and found[0][1] is not None
    assert not Path(found[0][1]).exists()  # nothing stays on the disk


def test_a_parcel_holds_anything_that_pickles(tmp_path):
    told = {"f": lambda x: x + 1, "none": np.empty((0, 3)), "F": np.asfortranarray(np.eye(3)), "n": np.arange(5)[::2]}
    found = Parcel.wrapped(told, str(tmp_path)).opened()
    assert found["f"](1) == 2
    for name in ("none", "F", "n"):
        np.testing.assert_array_equal(found[name], told[name])
    assert found["F"].flags.f_contiguous
    assert found["F"].ctypes.data % 64 == 0


# Workers


@pytest.mark.parametrize(("backend", "n_jobs"), [("loky", 2), ("threading", 3)])
def test_any_number_of_workers_and_any_backend_give_the_same_bits(backend, n_jobs):
    frame = mixed()
    one = mifit.impute(frame, m=4, n_jobs=1, **WORDS)
    with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
        many = mifit.impute(frame, m=4, **WORDS)
        same(many, one)
        same(many.extend(iterations=1), one.extend(iterations=1, n_jobs=1))
        np.testing.assert_array_equal(many.fit().params, one.fit(n_jobs=1).params)
    assert [chain.events for chain in many._record.chains] == [chain.events for chain in one._record.chains]


def test_workers_use_one_thread_for_algebra():
    def threads(job, step):
        import threadpoolctl

        held = chains._blas().limit(limits=1, user_api="blas")
        with held:
            return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    assert all(count == 1 for found in run_jobs(threads, range(3), 2) for count in found)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_dead_worker_is_told_with_its_chains_and_what_was_finished_goes_on(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, signal, sys, time
        import mifit
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from support.mixed_kinds import mixed

        class Kills(mifit.Normal):
            __slots__ = ()

            def fit(self, visit, rng):
                if rng.bit_generator.seed_seq.spawn_key == (3, 2) and os.getpid() != PARENT:
                    time.sleep(1.0)
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().fit(visit, rng)

        PARENT = os.getpid()
        if __name__ == "__main__":
            words = {{"m": 5, "iterations": 3, "rng": 7, "methods": {{"x": Kills()}}}}
            try:
                mifit.impute(mixed(), "y ~ x * z", n_jobs=2, **words)
            except mifit.ImputationError as error:
                print(error)
                whole = mifit.impute(mixed(), "y ~ x * z", n_jobs=1, **words)
                print("same", error.partial.extend(m=5 - error.partial.m, n_jobs=1).fingerprint == whole.fingerprint)
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert re.search(r"a worker died while it drew chains? [\d, ]*3", done.stdout), done.stdout + done.stderr
    assert "stopped.partial.extend(m=" in done.stdout
    assert "same True" in done.stdout


def test_a_chain_that_ends_does_not_give_its_neighbours_more_threads(monkeypatch):
    import threadpoolctl

    real, seen = chains._chain, []

    def slowly(engine, number, *rest):
        done = real(engine, number, *rest)
        time.sleep(0.3 * number)
        seen.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")
        return done

    monkeypatch.setattr(chains, "_chain", slowly)
    with threadpoolctl.threadpool_limits(2, user_api="blas"), joblib.parallel_config(backend="threading", n_jobs=2):
        mifit.impute(mixed(), m=3, **WORDS)
    assert seen and set(seen) == {1}


# The keyboard


def test_the_keyboard_stops_with_what_was_finished(monkeypatch):
    frame = mixed()
    whole = mifit.impute(frame, m=5, **WORDS)
    interrupting(monkeypatch, 3)
    with pytest.raises(mifit.Interrupted, match=r"3 of 5 chains.*partial.extend\(m=2\)") as caught:
        mifit.impute(frame, m=5, **WORDS)
    assert isinstance(caught.value, KeyboardInterrupt)
    partial = caught.value.partial
    assert partial.m == 3
    before = [frame.copy() for frame in partial]
    with pytest.raises(mifit.Interrupted) as again:
        partial.extend(m=2)
    assert again.value.partial.m == 3
    with pytest.raises(mifit.Interrupted, match="to go on") as none:
        mifit.impute(frame, m=5, **WORDS).extend(m=1)
    assert none.value.partial.m == 3
    monkeypatch.undo()
    assert all(one.equals(other) for one, other in zip(before, partial, strict=True))
    same(partial.extend(m=2), whole)


def test_a_stop_before_two_chains_leaves_nothing(monkeypatch):
    interrupting(monkeypatch, 1)
    with pytest.raises(mifit.Interrupted, match="checkpoint") as caught:
        mifit.impute(mixed(), m=5, **WORDS)
    assert caught.value.partial is None


def test_the_call_that_goes_on_names_the_variables_of_the_user(monkeypatch):
    frame = mixed()
    held_out = np.arange(len(frame)) < 9
    interrupting(monkeypatch, 1)
    with pytest.raises(mifit.Interrupted, match=r"ignore=held_out, m=5, .*checkpoint='chains'"):
        frame.mice.impute(m=5, ignore=held_out, **WORDS)


def test_numbers_that_were_left_out_are_drawn_first(monkeypatch):
    frame = mixed()
    whole = mifit.impute(frame, m=5, **WORDS)
    some = mifit.ImputedSet(whole._record.with_chains([whole._record.chains[k] for k in (0, 3)]))
    same(some.extend(m=3), whole)
    same(some.extend(iterations=1).extend(m=3), whole.extend(iterations=1))


def test_imputing_again_for_an_analysis_can_be_stopped_and_harms_nothing(monkeypatch):
    imp = mifit.impute(mixed(), "y ~ x + z", m=4, iterations=3, rng=1)
    before = imp.fingerprint
    interrupting(monkeypatch, 2)
    with pytest.raises(mifit.Interrupted) as caught:
        imp.fit("y ~ x * z")
    assert caught.value.partial.m == 2
    assert imp.fingerprint == before and imp.m == 4


@pytest.mark.skipif(os.name != "posix", reason="signals to a group of processes")
def test_the_keyboard_leaves_no_process_behind(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, signal, sys, threading, time
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        import mifit
        from support.mixed_kinds import mixed

        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what it puts aside without
            def bar(steps):
                print("steps", flush=True)
            import mifit.workflow.run, contextlib
            mifit.workflow.run._bar = contextlib.contextmanager(lambda *_: (yield bar))
            try:
                mifit.impute(mixed(1000), "y ~ x * z + g", m=6, iterations=400, rng=7, n_jobs=2)
            except mifit.Interrupted as stopped:
                print("stopped", stopped.partial, flush=True)
        """)
    )
    started = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert started.stdout.readline() == "steps\n"
    os.killpg(started.pid, signal.SIGINT)
    said = started.communicate(timeout=30)[0]
    assert "stopped" in said
    for _ in range(50):
        try:
            os.killpg(started.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a process of the group is still there")


# Folders of finished chains


def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    frame, folder = mixed(), tmp_path / "chains"
    whole = mifit.impute(frame, m=5, **WORDS)
    interrupting(monkeypatch, 3)
    with pytest.raises(mifit.Interrupted, match="checkpoint=.*the same call again"):
        mifit.impute(frame, m=5, checkpoint=folder, **WORDS)
    monkeypatch.undo()
    assert [path.name[6:11] for path in sorted(folder.iterdir())] == ["00000", "00001", "00002"]
    interrupting(monkeypatch, 1)  # which is not drawn again
    same(mifit.impute(frame, m=5, checkpoint=folder, **WORDS), whole)
    monkeypatch.undo()
    interrupting(monkeypatch, 6)
    with pytest.raises(mifit.Interrupted):
        whole.extend(m=3, checkpoint=folder)
    monkeypatch.undo()
    same(whole.extend(m=3, checkpoint=folder), whole.extend(m=3))
    same(whole.extend(iterations=2, checkpoint=str(folder)), whole.extend(iterations=2))
    assert len(list(folder.iterdir())) == 8 + 5


def test_workers_and_checkpoints_work_together(tmp_path):
    frame, folder = mixed(), tmp_path / "deep" / "chains"
    one = mifit.impute(frame, m=4, **WORDS)
    same(mifit.impute(frame, m=4, n_jobs=2, checkpoint=folder, **WORDS), one)
    same(mifit.impute(frame, m=4, n_jobs=2, checkpoint=folder, **WORDS), one)


@pytest.mark.parametrize(
    ("what", "change"),
    [("frame", {"frame": mixed(seed=1)}), ("plan", {"formula": "y ~ x + g"}), ("seed", {"rng": 8}),
     ("plan", {"iterations": 4})],
)  # fmt: skip
def test_a_checkpoint_of_something_else_is_refused_by_name(what, change, tmp_path):
    words = {"frame": mixed(), "m": 2, "checkpoint": tmp_path, **WORDS}
    mifit.impute(**words)
    with pytest.raises(mifit.StorageError, match=rf"holds chains of another [\w ]*{what}[\s\S]*checkpoint="):
        mifit.impute(**{**words, **change})


def bent(bend, m, folder):
    """Sets of an analysis that calls a function of one's own."""
    assert callable(bend)
    return mifit.impute(mixed(), "y ~ bend(x)", m=m, iterations=1, rng=1, checkpoint=folder)


def test_a_disk_that_is_full_on_the_way_loses_no_finished_chain(tmp_path, monkeypatch):
    from mifit.storage import archive

    frame = mixed()
    whole, real = mifit.impute(frame, m=4, **WORDS), archive.os.replace

    def third(source, target):
        if "00002" in str(target):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(archive.os, "replace", third)
    with pytest.raises(mifit.StorageError, match="No space left") as caught:
        mifit.impute(frame, m=4, checkpoint=tmp_path, **WORDS)
    monkeypatch.undo()
    assert sorted(path.name[:11] for path in tmp_path.iterdir()) == ["chain-00000", "chain-00001"]
    same(caught.value.partial.extend(m=4 - caught.value.partial.m), whole)
    same(mifit.impute(frame, m=4, checkpoint=tmp_path, **WORDS), whole)


def test_a_changed_function_is_another_plan(tmp_path):
    bent(lambda x: np.tanh(x), 2, tmp_path)
    bent(lambda x: np.tanh(x), 3, tmp_path)
    with pytest.raises(mifit.StorageError, match="another plan"):
        bent(lambda x: np.sin(x), 3, tmp_path)


def test_a_checkpoint_needs_a_seed_and_a_folder(tmp_path):
    with pytest.raises(mifit.PlanError, match="needs rng="):
        mifit.impute(mixed(), m=2, checkpoint=tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(mifit.StorageError, match="cannot be used"):
        mifit.impute(mixed(), m=2, checkpoint=tmp_path / "file", **WORDS)
    folder = tmp_path / "chains"
    mifit.impute(mixed(), m=2, checkpoint=folder, **WORDS)


def cut(path, others):
    path.write_bytes(path.read_bytes()[:500])


def emptied(path, others):
    path.write_bytes(b"")


def garbled(path, others):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def of_another(path, others):
    path.write_bytes(others[1].read_bytes())


def another_thing(path, others):
    path.unlink()
    path.symlink_to("/dev/null" if os.path.exists("/dev/null") else path.parent)


@pytest.mark.parametrize("damage", [cut, emptied, garbled, of_another, another_thing])
@pytest.mark.parametrize("which", [0, 2])
def test_a_chain_whose_file_is_damaged_is_drawn_again_and_the_file_named(damage, which, tmp_path):
    frame, words = mixed(40), {"formula": "y ~ x", "m": 3, "iterations": 2, "rng": 1, "checkpoint": tmp_path}
    whole = mifit.impute(frame, **words)
    paths = sorted(tmp_path.iterdir())
    damage(paths[which], paths)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = mifit.impute(frame, **words)
    assert re.search(rf"chain-0000{which}.*chain {which} is drawn again", str(told[0].message))
    named = {path.name for path in paths if any(path.name in str(one.message) for one in told)}
    assert named == {paths[which].name} and told[0].filename == __file__
    same(found, whole)
    assert len({str(one.round(9).values.tolist()) for one in found}) == 3  # no set twice
    if damage is not another_thing:  # which a file never replaces
        same(mifit.impute(frame, **words), whole)  # now without a word


def test_a_chain_of_a_later_mifit_is_not_drawn_over(tmp_path, monkeypatch):
    from mifit.storage import archive

    words = {"formula": "y ~ x", "m": 2, "iterations": 1, "rng": 1, "checkpoint": tmp_path}
    with monkeypatch.context() as patch:
        patch.setattr(archive, "PROTOCOL", 99)
        mifit.impute(mixed(40), **words)
    with pytest.raises(mifit.StorageError, match="protocol 99"):
        mifit.impute(mixed(40), **words)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(("m", "from_the"), [(4, 0), (4, 1), (4, 3), (2, 0)])
def test_whenever_a_disk_gets_full_no_finished_chain_is_lost(m, from_the, n_jobs, tmp_path, monkeypatch):
    from mifit import files

    frame, words = mixed(40), {"formula": "y ~ x", "m": m, "iterations": 2, "rng": 1}
    whole, real, written = mifit.impute(frame, **words), files.os.replace, []

    def replace(source, target):
        if len(written) >= from_the:
            raise OSError(28, "No space left on device")
        written.append(target)
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((mifit.StorageError, mifit.StorageWarning), match="No space left") as caught:
            mifit.impute(frame, checkpoint=tmp_path, n_jobs=n_jobs, **words)
    monkeypatch.undo()
    partial = caught.value.partial
    assert partial is not None and 2 <= partial.m <= m
    if isinstance(caught.value, mifit.StorageError):
        monkeypatch.setattr(sys, "last_value", caught.value, raising=False)
        names = {}
        exec(caught.value.do, names)  # the advice works
        partial = names["imp"]
    same(partial, whole)
    same(mifit.impute(frame, checkpoint=tmp_path, **words), whole)


def test_the_last_chain_that_cannot_be_kept_is_a_warning(tmp_path, monkeypatch):
    words = {"frame": mixed(40), "formula": "y ~ x", "m": 2, "iterations": 2, "rng": 1}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mifit.files.os.replace", full)
    with pytest.warns(mifit.StorageWarning, match="drawn, some are not kept"):
        found = mifit.impute(checkpoint=tmp_path, **words)
    same(found, mifit.impute(**words))


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError("odd"), RecursionError("deep"), KeyboardInterrupt(), Exception()]
)
@pytest.mark.parametrize("where", ["sweep", "start", "freeze"])
def test_whatever_stops_a_chain_leaves_the_finished_ones(error, where, monkeypatch):
    from mifit.imputation.sampler import runs
    from mifit.imputation.sampler.chain import ChainState

    frame, words = mixed(40), {"formula": "y ~ x", "m": 4, "iterations": 1, "rng": 1}
    owner = runs if where == "start" else ChainState
    whole, real, seen = mifit.impute(frame, **words), getattr(owner, where), []

    def third(*given):
        seen.append(given)
        if len(seen) > 2:
            raise error
        return real(*given)

    monkeypatch.setattr(owner, where, third)
    with pytest.raises(BaseException) as caught:
        mifit.impute(frame, **words)
    monkeypatch.undo()
    assert caught.value.partial.m == 2
    same(caught.value.partial.extend(m=2), whole)
    if isinstance(error, MemoryError):
        assert isinstance(caught.value, mifit.ImputationError)
        assert "memory ran out" in str(caught.value) and "2 of 4 chains are finished" in str(caught.value)


def test_an_advised_call_goes_on_where_the_run_stopped(tmp_path, monkeypatch):
    frame, folder = mixed(60), tmp_path / "chains"
    for words in (
        {"formula": "y ~ x + z", "rng": 3, "methods": {"later": "leave"}},
        {"formula": None, "rng": np.random.SeedSequence(5, spawn_key=(2,)), "iterations": 3},
        {"formula": ["y ~ x", "y ~ z"], "rng": 4, "congeniality": "terms"},
        {"formula": "y ~ x", "model": "quantreg", "rng": np.random.default_rng(1)},
    ):
        interrupting(monkeypatch, 2)
        with pytest.raises(mifit.Interrupted) as caught:
            mifit.impute(frame, m=3, checkpoint=folder, **words)
        monkeypatch.undo()
        kept = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        call = str(caught.value).partition("to go on: ")[2].partition("\n")[0]
        names = {"df": frame, "np": np}
        exec(call, names)
        assert names["imp"].m == 3 and {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}.items() > kept.items()
        same(names["imp"], caught.value.partial.extend(m=1))
        folder = folder.with_name(folder.name + "+")
    imp = names["imp"]
    interrupting(monkeypatch, 4)
    with pytest.raises(mifit.Interrupted) as caught:
        imp.extend(m=2, checkpoint=folder)
    monkeypatch.undo()
    exec("imp = " + str(caught.value).partition("to go on: ")[2].partition("\n")[0], names)
    assert names["imp"].m == 5


@pytest.mark.skipif(os.name != "posix", reason="a removed working directory")
def test_workers_that_have_nowhere_to_go_are_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path / "file" / "below"))
    words = {"frame": mixed(40), "formula": "y ~ x", "m": 2, "iterations": 1, "rng": 1}
    with pytest.raises(mifit.StorageError, match="JOBLIB_TEMP_FOLDER=.*cannot be used") as caught:
        mifit.impute(n_jobs=2, **words)
    exec(caught.value.do)
    assert mifit.impute(n_jobs=2, **words).m == 2
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(mifit.StorageError, match="temporary folder, which cannot be used") as caught:
        mifit.impute(n_jobs=2, **words)
    exec(caught.value.do)
    assert mifit.impute(n_jobs=2, **words).m == 2


def test_a_bar_counts_sweeps_across_workers(capsys):
    for n_jobs in (1, 2):
        mifit.impute(mixed(), m=4, n_jobs=n_jobs, progress=True, **WORDS)
        assert "12/12" in capsys.readouterr().err


# Incidents


def test_incidents_say_variable_chains_sweep_what_and_what_follows():
    frame = mixed().assign(twin=lambda d: d["z"] * 2)
    frame["b"] = frame["b"].where(frame["b"].isna(), (frame["z"] > 0).astype(float))
    imp = mifit.impute(frame, m=3, iterations=3, rng=1)
    events = imp.events
    columns = ["source", "event", "chains", "visits", "variable", "which", "first", "consequence"]
    assert list(events.columns) == columns
    chain = events[events["source"] == "chain"]
    dropped = chain[chain["event"].str.contains("dropped twin") & (chain["variable"] == "x")].iloc[0]
    assert (dropped["chains"], dropped["which"], dropped["first"], dropped["visits"]) == (3, "0, 1, 2", 1, 9)
    assert "predicts" in dropped["consequence"]
    split = chain[chain["event"].str.contains("separation") & (chain["variable"] == "b")].iloc[0]
    assert "no effect" in split["consequence"]
    assert (chain["consequence"] != "").all()
    twice = imp.extend(iterations=2).events
    first = twice[twice["source"] == "chain"].set_index("event")["first"]
    assert first[chain["event"]].tolist() == chain["first"].tolist()


@pytest.mark.parametrize("n_jobs", [0, "all", 1.5])
def test_a_number_of_workers_that_is_none_is_one_clear_error(n_jobs):
    imp = mifit.impute(mixed(), m=2, **WORDS)
    for call in (lambda: mifit.impute(mixed(), m=2, n_jobs=n_jobs, **WORDS), lambda: imp.fit(n_jobs=n_jobs)):
        with pytest.raises(mifit.errors.PlanError, match=re.escape(f"n_jobs is {n_jobs!r}")) as found:
            call()
        assert "n_jobs=-1" in found.value.do


def test_a_backend_without_generators_draws_the_same_bits():
    one = mifit.impute(mixed(), m=3, n_jobs=1, **WORDS)
    with joblib.parallel_config(backend="multiprocessing", n_jobs=2):
        same(mifit.impute(mixed(), m=3, **WORDS), one)


def test_files_for_workers_go_where_joblib_puts_its_own_and_leave_again(tmp_path, monkeypatch):
    folder = tmp_path / "not there yet"
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(folder))
    one = mifit.impute(mixed(), m=3, n_jobs=1, **WORDS)
    same(mifit.impute(mixed(), m=3, n_jobs=2, **WORDS), one)
    assert folder.exists() and not any(folder.glob("mifit-*"))
