"""One headless Chromium for all tests: WebGL in software, and no name but loopback's resolves."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

_FLAGS = (
    "--no-sandbox",  # tests run as root in a container
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZE = {"width": 1600, "height": 900}


def executable() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextmanager
def page() -> Iterator[Page]:
    """A page of a browser that ends with it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=_FLAGS)
        try:
            opened = browser.new_page(viewport=SIZE)
            opened.set_default_timeout(120_000)  # machines that test are busy
            yield opened
        finally:
            browser.close()
