"""Debian's Chromium, for tests of pages: opening them, reading them and their data, and what they asked for."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync"
)


def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start Chromium; it ends when the iterator goes on. Skips the test if it is not installed."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for flag in (*FLAGS.split(), f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.command_executor.client_config.timeout = 60  # a page that hangs fails its test
    yield driver
    driver.quit()


def received(path: Path) -> Any:
    """The data in a script: what the page gets from JSON.parse."""
    text = path.read_text(encoding="ascii")
    found = re.fullmatch(r'medbenchReport\.receive\((".*?(?<!\\)"), (".*")\);\n', text)
    assert found, text[:200]
    return json.loads(json.loads(found[2]))


def show(driver: Any, page: Path | str, width: int = 1280, scheme: str = "light", fragment: str = "") -> None:
    """Open a page of a report: a file, or an address."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get("about:blank")
    for log in ("performance", "browser"):
        driver.get_log(log)
    driver.get((page.resolve().as_uri() if isinstance(page, Path) else page) + fragment)


def until(met: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (value := met()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def found(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))


def texts(driver: Any, selector: str) -> list[str]:
    """What one can read in each element; that of several lines on one."""
    shown = driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector
    )
    return [" ".join(text.split()) for text in shown]


def asked_for(driver: Any) -> list[str]:
    """The addresses that the browser asked for since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def complaints(driver: Any, own: str = "file:") -> list[str]:
    """Errors of the page, and addresses that it asked for beyond the report's own files, which begin with `own`."""
    errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    return errors + [address for address in asked_for(driver) if not address.startswith((own, "data:", "about:"))]


# Texts whose contrast with what is behind them is below 4.5 : 1 (WCAG 2, level AA)
CONTRAST = """
const light = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).map((n) => { n /= 255;
    return n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const low = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.getClientRects().length) continue;
  let behind = e;
  while (behind && /, 0\\)$|transparent/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
  const back = behind ? getComputedStyle(behind).backgroundColor : "rgb(255, 255, 255)";
  const [a, b] = [light(getComputedStyle(e).color), light(back)].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${e.className || e.tagName}: ${e.textContent.slice(0, 40)}`);
}
return low;
"""
