"""A headless Chromium for tests, driven over WebDriver with the standard library alone.

Where Chromium or its driver is not installed the tests that need them are skipped, unless MIFIT_BROWSER=required says
that they must run.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]


class Browser:
    """One session: open a page, resize, run a script, take a picture, print, read the console."""

    def __init__(self, address: str) -> None:
        self.address = address
        options = {"args": _FLAGS, "binary": _installed()["browser"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.address += f"/session/{made['sessionId']}"

    def open(self, page: Path, width: int, height: int, dark: bool = False) -> None:
        """Show a file in a window of that inner size, as a phone or a desktop has it."""
        self._devtools("Network.enable")
        self._devtools("Emulation.setEmulatedMedia", features=[_scheme(dark)])
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", **metrics)
        self._call("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def console(self) -> list[str]:
        """Messages of the console since it was last asked, warnings and errors."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [one["message"] for one in entries if one["level"] in ("SEVERE", "WARNING")]

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        size = self._devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def printed(self) -> bytes:
        """The page as a PDF."""
        return base64.b64decode(self._call("POST", "/print", {"background": True}))

    def close(self) -> None:
        """End the session."""
        self._call("DELETE", "")

    def _devtools(self, command: str, **words: Any) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": words})

    def _call(self, method: str, path: str, words: dict[str, Any] | None = None) -> Any:
        body = None if words is None else json.dumps(words).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


def _scheme(dark: bool) -> dict[str, str]:
    """The colour scheme the system prefers."""
    return {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}


def _installed() -> dict[str, str | None]:
    """Where browser and driver are."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return {"browser": next(filter(None, map(shutil.which, names)), None), "driver": shutil.which("chromedriver")}


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser for the length of a test module."""
    found = _installed()
    if not all(found.values()):
        lacking = ", ".join(what for what, path in found.items() if path is None)
        if os.environ.get("MIFIT_BROWSER") == "required":
            pytest.fail(f"MIFIT_BROWSER=required, but there is no {lacking}: apt-get install chromium chromium-driver")
        pytest.skip(f"no {lacking}: apt-get install chromium chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen([found["driver"], f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        session = _connected(f"http://127.0.0.1:{port}")
        yield session
        session.close()
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def _connected(address: str) -> Browser:
    """A session, as soon as the driver listens."""
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{address}/status", timeout=5):
                return Browser(address)
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
