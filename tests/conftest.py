"""Fixtures that several tests use."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Workers share the cores: libraries that each take all of them would fight. Before numpy and torch are loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With --dist loadfile give workers whole files, which share set-ups, but the conformance of methods one by one."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrMethod(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return f"{file}::{test.partition('-')[0]}" if test.startswith("test_conformance[") else file

    return ByFileOrMethod(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the full survey files, beside the checkout unless MICROIMPUTE_SHARED names another."""
    folder = Path(os.environ.get("MICROIMPUTE_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("the full survey files are not here (set MICROIMPUTE_SHARED to the folder that holds data/)")
    return folder


FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright; skips where either is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the path")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def opened(browser: Any) -> Callable[[Path, int], tuple[Any, list[str]]]:
    """Open a page at a width with all its details, and collect everything that it complains of or asks for."""

    def open_page(path: Path, width: int) -> tuple[Any, list[str]]:
        tab = browser.new_page(viewport={"width": width, "height": 900})
        told: list[str] = []
        tab.on("console", lambda message: told.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: told.append(f"error: {error}"))
        tab.on("request", lambda request: told.append(f"request: {request.url}"))
        tab.goto(path.as_uri())
        tab.wait_for_load_state("networkidle")
        tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        return tab, [line for line in told if line != f"request: {path.as_uri()}" and "request: data:" not in line]

    return open_page
