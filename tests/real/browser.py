"""A real Chromium, and a real server of the page for it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from tests.real_parts import missing
from tests.web.world import World, make_world

AXE_RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
WIDTH, HEIGHT = 1280, 860
PHONE = 390, 844


def pictures_folder(tmp_path: Path) -> Path:
    """Where pictures go: TENANTGATE_SCREENSHOTS, else the test's own folder."""
    folder = Path(os.environ.get("TENANTGATE_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def served(folder: Path) -> Iterator[World]:
    """The page on a free port of this machine; `public_url` is its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    world = make_world(folder, f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(world.app, log_level="error", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield world
    finally:
        server.should_exit = True
        thread.join(10)
        world.engine.dispose()


def chromium() -> str:
    """The browser's program, or a skip."""
    return shutil.which("chromium") or missing("program 'chromium'")


@asynccontextmanager
async def browser_of(**launch: Any) -> AsyncIterator[Any]:
    """A browser without a window."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        missing("package 'playwright'")
    program = chromium()
    async with async_playwright() as playwright:
        # --no-sandbox: as root there is none, and all that is opened is our own page.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], **launch)
        try:
            yield browser
        finally:
            await browser.close()


class Tab:
    """A page in the browser, and everything it complained of."""

    def __init__(self, page: Any, pictures: Path) -> None:
        self.page = page
        self.pictures = pictures
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    async def picture(self, name: str) -> None:
        """Keep the page as it looks in light and in dark."""
        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme)
            await self.page.screenshot(path=self.pictures / f"{name}-{scheme}.png", full_page=True)

    async def accessibility_faults(self, axe: str) -> list[str]:
        """What axe (its source) finds wrong, in light and in dark."""
        await self.page.evaluate(axe + ";0")
        faults = []
        # What changes with the scheme is colours.
        for scheme, rules in (("light", AXE_RULES), ("dark", ["color-contrast"])):
            await self.page.emulate_media(color_scheme=scheme)
            found = await self.page.evaluate("rules => axe.run({runOnly: rules})", rules)
            for fault in found["violations"]:
                places = [f"{node['html'][:120]} {node['any'][:1]}" for node in fault["nodes"]]
                faults.append(f"{scheme} {self.page.url}: {fault['id']}: {places}")
        return faults


@asynccontextmanager
async def tab_of(browser: Any, pictures: Path, *, phone: bool = False, **context_options: Any) -> AsyncIterator[Tab]:
    """A fresh tab with no cookies; its pictures go to a folder."""
    width, height = PHONE if phone else (WIDTH, HEIGHT)
    context = await browser.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce", **context_options
    )
    try:
        yield Tab(await context.new_page(), pictures)
    finally:
        await context.close()
