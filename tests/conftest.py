"""What holds for every test: subprocesses find the package that is tested, and in CI no test is skipped unnoticed."""

import os
import re
from pathlib import Path

import pytest

import mifit

# Scripts that tests start, and workers that are started anew, import what the tests import: installed or not.
_HOME = str(Path(mifit.__file__).resolve().parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH")]))

#: file -> the reasons for which its tests may be skipped where MIFIT_SKIPS=listed
LISTED = {
    "tests/topics/test_awkward_frames.py": "no formula names its columns",
    "tests/test_files.py": "devices are made by the superuser|not here|no pipes here",
    "tests/frame/test_exports.py": "no R with .* here",
    "tests/frame/test_table.py": "this pandas makes levels of them",
    "tests/frame/test_dtypes.py": "the text dtype came with pandas 3",
    # Where MIFIT_BROWSER=required these fail by themselves.
    "tests/examine/test_report.py": "no .*: apt-get install chromium chromium-driver",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _unlisted_fails((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _unlisted_fails((yield))


def _unlisted_fails(report):
    """The report of a test or file; a skip that is not listed becomes a failure where the list counts."""
    if report.outcome == "skipped" and not hasattr(report, "wasxfail") and os.environ.get("MIFIT_SKIPS") == "listed":
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        file = report.nodeid.partition("::")[0]
        if not (file in LISTED and re.fullmatch(f"Skipped: {LISTED[file]}", reason)):
            report.outcome, report.longrepr = "failed", f"not listed in tests/conftest.py: {reason}"
    return report
