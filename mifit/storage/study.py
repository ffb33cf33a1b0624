"""A study, that is a frame, its plan and its chains, as one file; and a single chain as one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing
import warnings
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..errors import MifitError, StorageError, StorageWarning, warn
from ..frame.kinds import Coding
from ..imputation.plan.plan import Plan
from ..imputation.sampler.chain import Chain
from ..imputation.seed import Seed
from ..typing import Array
from .archive import read, write
from .frames import pack_frame, unpack_frame
from .safe_formula import check_plan, check_writable, without_numbers
from .serialize import Packer, Unpacker, fits, passed, refuse_lacking

__all__ = ["Contents", "damaged", "digest", "read_chain", "read_study", "write_chain", "write_study"]


@dataclass(frozen=True)
class Contents:
    """What a file holds of an imputation; what can be computed from it is not stored."""

    frame: pd.DataFrame
    plan: Plan | None = None
    chains: tuple[Chain, ...] = ()
    seed: Seed | None = None
    helpers: Mapping[str, Any] = field(default_factory=dict)  #: names that derived columns are made with
    codings: Mapping[Hashable, Coding] = field(default_factory=dict)  #: of sets made elsewhere
    imputed: tuple[Mapping[Hashable, Array], ...] = ()  #: of sets made elsewhere
    said: str = ""  #: how their missing values were found


def write_study(path: str | os.PathLike[str], study: Contents) -> None:
    """Write a study as one file, at once or not at all.

    Raises
    ------
    StorageError
        If something in it cannot be kept in a file, or the disk refuses.
        If a formula does more than a file may ask for.

    Warns
    -----
    StorageWarning
        If it uses functions or methods that no file can hold: they are to be passed back when it is loaded.
    """
    if study.plan is not None:
        check_writable(study.plan, study.frame, study.helpers)
    packer = Packer()
    document = {
        "frame": pack_frame(packer, study.frame),
        **{in_file: packer.value(getattr(study, name)) for name, in_file in _PARTS.items()},
    }
    write(path, document, packer.arrays)
    if packer.owed:
        given = ", ".join(f"{name!r}: {name.rstrip('_')}" for name in packer.owed)
        text = f"{str(path)!r} does not hold {', '.join(packer.owed)}; to load it: "
        warn(f"{text}mifit.load({str(path)!r}, names={{{given}}})", StorageWarning)
    if packer.estimators:
        given = ", ".join(f"{text!r}: {text}" for text in packer.estimators)
        text = (
            f"{str(path)!r} tells of {', '.join(packer.estimators)} and does not hold it: to draw more after loading, "
        )
        warn(f"{text}mifit.load({str(path)!r}, names={{{given}}})", StorageWarning)


#: field of the contents -> what files call it
_PARTS = {name: name for name in ("plan", "chains", "seed", "helpers", "codings", "imputed", "said")}
_PARTS["imputed"] = "holes"


def read_study(path: str | os.PathLike[str], names: Mapping[str, Any]) -> Contents:
    """Read a study; nothing of the file is run, and no formula of it is evaluated before it was checked.

    Parameters
    ----------
    path : path
    names : mapping
        Functions, modules and methods that the study uses and no file can hold.

    Raises
    ------
    StorageError
        If the file is damaged, of a later form, or asks for more than plain computing.
    """
    with damaged(path):
        document, arrays = read(path)
        names = passed(document, names)
        refuse_lacking(document, names)
        unpacker = Unpacker(arrays, names)
        frame = unpack_frame(unpacker, document["frame"])
        study = Contents(frame, **{name: unpacker.value(document[in_file]) for name, in_file in _PARTS.items()})
        for name, declared in typing.get_type_hints(Contents).items():
            if not fits(getattr(study, name), declared):
                raise ValueError(f"its {name} cannot be {type(getattr(study, name)).__name__}")
        if study.plan is not None:
            unpacker.used.update({name: value for name, value in study.helpers.items() if name not in names})
            check_plan(study.plan, study.frame.columns, unpacker.used, without_numbers(study.frame))
    return study


@contextlib.contextmanager
def damaged(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever a file does to its reader becomes one kind of error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except StorageError as error:
        if str(path) in str(error):
            raise
        do = None if error.do is None else error.do.replace("load(path", f"load({str(path)!r}")
        raise StorageError(error.fact, do=do, **{"file": repr(str(path)), **error.lines}) from error.__cause__
    except MifitError as error:
        raise StorageError(f"{str(path)!r} is not usable: {error.fact}", do='imp.save("study.mifit")') from error
    except Exception as error:
        fact = f"{str(path)!r} is damaged or no study of mifit: {str(error)[:200] or type(error).__name__}."
        raise StorageError(fact, do='imp.save("study.mifit")') from error


def write_chain(path: str | os.PathLike[str], chain: Chain, of: Mapping[str, str]) -> None:
    """Write one finished chain, and the digests of the study it belongs to."""
    packer = Packer()
    write(path, {"chain": packer.value(chain), "of": dict(of)}, packer.arrays)


def read_chain(path: str | os.PathLike[str]) -> tuple[Chain, dict[str, str]]:
    """Read one finished chain, and the digests of the study it belongs to.

    Raises
    ------
    StorageError
        If the file is damaged.
    """
    with damaged(path):
        document, arrays = read(path)
        chain = Unpacker(arrays, {}).value(document["chain"])
        if not isinstance(chain, Chain) or not fits(document["of"], Mapping[str, str]):
            raise ValueError("it holds no chain")
    return chain, document["of"]


def digest(given: Any) -> str:
    """A number that tells a frame, a plan or a seed from any other.

    Examples
    --------
    >>> digest(Seed(1)) == digest(Seed(1)), digest(Seed(1)) == digest(Seed(2))
    (True, False)
    """
    packer = Packer()
    document = pack_frame(packer, given) if isinstance(given, pd.DataFrame) else packer.value(given)
    told = [_code_told(value) for value in packer.owed.values()]
    found = hashlib.sha256(json.dumps([document, told], separators=(",", ":")).encode())
    for array in packer.arrays.values():
        found.update(np.asarray(array, order="C").tobytes())
    return found.hexdigest()


def _code_told(value: Any) -> list[str]:
    """A function by what it does, anything else as it shows itself."""
    code = getattr(value, "__code__", None)
    if code is None:
        return [repr(value)]
    plain = [repr(part) for part in code.co_consts if not hasattr(part, "co_code")]
    return [code.co_code.hex(), *plain, *code.co_names]
