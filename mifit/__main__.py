"""The command line, ``python -m mifit study.csv "y ~ x1*x2"``: a file in, pooled results and a report out."""

from __future__ import annotations

import argparse
import ast
import csv
import importlib.util
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import DataError, FormulaError, Interrupted, MifitError, MifitWarning, StorageError

__all__ = ["main", "read"]

_EXAMPLE = 'python -m mifit study.csv "y ~ x1*x2" --m 20 --seed 1 --report study.html --save study.mifit'
_SNIFFED = 65_536  # characters of a text file by which its separator is recognised


def main(arguments: Sequence[str] | None = None) -> int:
    """Impute a file, fit the analyses, write what was asked for.

    Parameters
    ----------
    arguments : sequence of str, optional
        As typed behind ``python -m mifit``; by default those of this process.

    Returns
    -------
    int
        0; 1 where it could not be done: one line on standard error says why. Wrong usage ends with 2, as usual.
    """
    given = _parser().parse_intermixed_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=MifitWarning)
            warnings.showwarning = _say_warning
            _run(given)
    except (MifitError, OSError, MemoryError) as error:
        _complain("error", error)
        return 1
    except (Interrupted, KeyboardInterrupt):
        sys.stderr.write("mifit: stopped; with --checkpoint FOLDER the same command goes on from there\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    """Every word of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m mifit",
        description="Multiple imputation of a file: impute compatibly with the analysis, fit it on every completed "
        "set, pool by Rubin's rules.",
        epilog=f"example: {_EXAMPLE}",
    )
    parser.add_argument("file", help="csv, tsv, txt, parquet, feather, arrow, dta, sav or xlsx")
    parser.add_argument("formula", nargs="*", help='an analysis, or several: "y ~ x1*x2"')
    parser.add_argument("--model", help="its statsmodels model, such as logit, poisson or phreg")
    parser.add_argument("--m", type=int, default=20, help="completed sets (20)")
    parser.add_argument("--iterations", type=int, help="sweeps of each chain")
    parser.add_argument("--seed", type=int, help="the same seed gives the same results")
    parser.add_argument("--jobs", type=int, help="processes")
    parser.add_argument("--missing", default="", metavar="CODES", help='codes of missing values: "-99,unknown"')
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of mifit.impute or of the model: status=died, \"bounds={'age': (0, 120)}\"",
    )
    parser.add_argument("--checkpoint", metavar="FOLDER", help="where finished chains are kept, to go on after a stop")
    parser.add_argument("--exponentiate", action="store_true", help="ratios in place of coefficients")
    parser.add_argument("--plan", action="store_true", help="print how each column would be drawn, and stop")
    parser.add_argument("--report", metavar="FILE", help="an HTML page with all that a reader must know")
    parser.add_argument("--table", metavar="FILE", help="the pooled coefficients as csv")
    parser.add_argument("--sets", metavar="FILE", help="the completed sets below one another, as csv or parquet")
    parser.add_argument("--save", metavar="FILE", help="the imputed set, for mifit.load")
    return parser


def _run(given: argparse.Namespace) -> None:
    """Do what was asked, and print the results."""
    frame = read(given.file, [code.strip() for code in given.missing.split(",") if code.strip()])
    formulas = given.formula[0] if len(given.formula) == 1 else given.formula or None
    options = dict(map(_option, given.option))
    options |= {"model": given.model} if given.model else {}
    if given.plan:
        plan = frame.mice.plan(formulas, iterations=given.iterations, **options)
        sys.stdout.write(f"{plan}\n")
        return
    imp = frame.mice.impute(
        formulas, m=given.m, iterations=given.iterations, rng=given.seed, n_jobs=given.jobs,
        checkpoint=given.checkpoint, **options,
    )  # fmt: skip
    results = [imp.fit(formula) for formula in given.formula]
    shown = [str(one.summary(exponentiate=given.exponentiate)) for one in results] or [str(imp)]
    sys.stdout.write("\n\n".join(shown) + "\n")
    _write(given, imp, results)


def _write(given: argparse.Namespace, imp: Any, results: list[Any]) -> None:
    """Write the files that were asked for, and name them."""
    written = []
    if given.table:
        tables = {one.fits.formula: one.to_frame(exponentiate=given.exponentiate) for one in results}
        if not tables:
            raise FormulaError("--table needs an analysis.", do='python -m mifit study.csv "y ~ x" --table pooled.csv')
        pd.concat(tables, names=["analysis"]).to_csv(given.table)
        written.append(given.table)
    if given.report:
        written.append(imp.report(given.report, *results[:1], also=results[1:]))
    if given.sets:
        long = imp.to_long()
        long.to_parquet(given.sets) if Path(given.sets).suffix == ".parquet" else long.to_csv(given.sets)
        written.append(given.sets)
    if given.save:
        imp.save(given.save)
        written.append(given.save)
    for path in written:
        sys.stdout.write(f"written: {path}\n")


def read(path: str, missing: Sequence[str] = ()) -> pd.DataFrame:
    """Read a frame from a file, by the ending of its name.

    Parameters
    ----------
    path : str
        A csv, tsv or txt file (its separator and decimal comma are recognised), parquet, feather, arrow, Stata's dta,
        SPSS' sav, or xlsx.
    missing : sequence of str
        Codes that stand for a missing value, beside empty cells and the words that pandas knows.

    Raises
    ------
    StorageError
        If the file is not there or cannot be read.
    """
    kind = Path(path).suffix.lower()
    if kind not in _READERS:
        raise StorageError(
            f"{path!r} is no kind of file that is read here.", known=", ".join(sorted(_READERS)), do=_EXAMPLE
        )
    reader, needed = _READERS[kind]
    if needed and importlib.util.find_spec(needed) is None:
        raise StorageError(
            f"a {kind} file is read by the package {needed}, which is missing.", do=f"pip install {needed}"
        )
    try:
        frame: pd.DataFrame = reader(path, list(missing))
    except FileNotFoundError:
        raise StorageError(f"there is no file {path!r}.", do=_EXAMPLE) from None
    except OSError as error:
        raise StorageError(f"{path!r} cannot be read: {error.strerror or error}.", do=_EXAMPLE) from None
    except Exception as error:  # a damaged file, by whatever package reads it
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(f"{path!r} cannot be read: {said}", do=_EXAMPLE) from None
    if frame.empty:
        raise DataError(f"{path!r} holds no rows.", do=_EXAMPLE)
    return frame if kind in _TEXT else _without(frame, missing)


def _text(path: str, missing: list[str]) -> pd.DataFrame:
    """A text file: its separator is the one that its first lines have most regularly."""
    with open(path, encoding="utf-8-sig") as file:
        start = file.read(_SNIFFED)
    try:
        separator = csv.Sniffer().sniff(start, delimiters=",;\t|").delimiter
    except csv.Error:
        separator = ","
    comma = separator != "," and re.search(r"(?:^|[;\t|])-?\d+,\d+(?=[;\t|\r\n]|$)", start, re.MULTILINE) is not None
    return pd.read_csv(
        path, sep=separator, decimal="," if comma else ".", na_values=missing, encoding="utf-8-sig", low_memory=False
    )


def _without(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """A frame with the codes of missing values taken out, as text and as numbers."""
    numbers = [float(code) for code in missing if re.fullmatch(r"[-+]?\d+(\.\d+)?", code)]
    return frame.mask(frame.isin([*missing, *numbers])) if missing else frame


_TEXT = (".csv", ".tsv", ".txt")
#: ending of a name -> what reads it, and the package that does
_READERS: dict[str, tuple[Callable[[str, list[str]], pd.DataFrame], str]] = {
    **dict.fromkeys(_TEXT, (_text, "")),
    ".parquet": (lambda path, _: pd.read_parquet(path), "pyarrow"),
    ".feather": (lambda path, _: pd.read_feather(path), "pyarrow"),
    ".arrow": (lambda path, _: pd.read_feather(path), "pyarrow"),
    ".dta": (lambda path, _: pd.read_stata(path), ""),
    ".sav": (lambda path, _: pd.read_spss(path), "pyreadstat"),
    ".xlsx": (lambda path, _: pd.read_excel(path), "openpyxl"),
}


def _option(text: str) -> tuple[str, Any]:
    """``name=value``: a value that reads as Python's is taken so, anything else as text."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise FormulaError(f"--option {text!r} is not NAME=VALUE.", do="--option \"bounds={'age': (0, 120)}\"")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return name.strip(), value.strip()


def _complain(kind: str, error: BaseException) -> None:
    """One line on standard error: what is wrong, and the call that mends it."""
    if isinstance(error, MifitError):
        do = str(error.do or "")
        typed = do.startswith(("--", "pip ", "python "))
        said = f"{error.fact} {do if typed or not do else f'In Python: {do}'}"
    else:
        said = str(error) or type(error).__name__
    sys.stderr.write(f"mifit: {kind}: {' '.join(said.split())}\n")


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning in one line."""
    sys.stderr.write(f"mifit: note: {' '.join(str(message).partition(chr(10))[0].split())}\n")


if __name__ == "__main__":
    sys.exit(main())
