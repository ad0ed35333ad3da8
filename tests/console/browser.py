"""A browser that notes what must never happen: errors of scripts, violations of the policy, requests to anyone else."""

import json
import os
import pathlib
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PAGES = {
    "overview": "/console",
    "tree": "/console/tree",
    "collections": "/console/collections",
    "collection": "/console/collections/docs",
    "search": "/console/search?collection=docs&q=what+happens+when+the+queue+is+full&explain=1&k=5",
    "hostile search": "/console/search?collection=odd&q=ferry&explain=1",
    "chat": "/console/chat",
    "validators": "/console/validators",
    "evidence": "/console/evidence",
    "record": "/console/evidence/1",
    "review": "/console/review",
    "datasets": "/console/datasets",
    "replays": "/console/replays",
    "replay": "/console/replays/shorter",
}
PATIENCE = 20


class Browser:
    """Headless Chromium, driven by its own driver."""

    def __init__(self, url: str) -> None:
        self.url = url
        options = Options()
        binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        options.binary_location = binary or ""
        for argument in ("--headless=new", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,900"):
            options.add_argument(argument)
        # In a container the browser has no sandbox of its own, and little shared memory.
        for argument in ("--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        self.axe = pathlib.Path(os.environ["CONSOLE_AXE"]).read_text() if "CONSOLE_AXE" in os.environ else None

    def close(self) -> None:
        self.driver.quit()

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """The text of what is there now: a live part may be replaced between two questions."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def until(self, condition, what: str) -> object:
        return WebDriverWait(self.driver, PATIENCE, 0.1).until(lambda _: condition(), f"never: {what}")

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def dark(self, is_dark: bool) -> None:
        value = "dark" if is_dark else "light"
        features = [{"name": "prefers-color-scheme", "value": value}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def size(self, width: int, height: int, scale: float = 1) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def wrong(self) -> list[str]:
        """What went wrong since it was asked last."""
        found = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked = message["params"]["request"]["url"]
                if not asked.startswith((self.url + "/", "data:", "about:", "chrome:")):
                    found.append(f"asked {asked}")
        if self.run("return window.hacked"):
            found.append("a hostile text was run")
        return found

    def violations(self) -> list[str]:
        """What axe finds of serious and critical impact."""
        if self.axe is None:
            return []
        self.run(self.axe)
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            # Colours on their way from one scheme to the other are neither's.
            "Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))"
            ".then(() => axe.run(document, {resultTypes: ['violations']})).then((r) => done(r.violations));"
        )
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
