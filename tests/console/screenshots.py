"""The pictures of the README, taken when asked for: some minutes of requests first, so that the charts have something to show."""

import math
import pathlib
import random
import threading
import time

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from served import QUESTIONS, ROOT

FOLDER = ROOT / "docs" / "img"
MINUTES = 2.5


def work(served, done: threading.Event) -> None:
    """Requests that come in waves."""
    chance = random.Random(7)
    begun = time.monotonic()
    number = 0
    while not done.is_set():
        wave = 0.5 + 0.5 * math.sin((time.monotonic() - begun) / 13)
        number += 1
        text = f"text {chance.randrange(1 + number // 3)}"
        served.ask("POST", "/v1/embeddings", {"model": "static-minilm", "input": text})
        if chance.random() < 0.3:
            served.ask("POST", "/v1/collections/docs/search", {"query": chance.choice(QUESTIONS), "k": 5})
        if chance.random() < 0.12:
            served.chat(chance.choice(["up/steady", "extractive"]), chance.choice(QUESTIONS), "docs")
        done.wait(0.01 + 0.2 * (1 - wave) + chance.random() * 0.03)


def take(browser, served) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = threading.Event()
    workers = [threading.Thread(target=work, args=(served, done)) for _ in range(2)]
    for worker in workers:
        worker.start()
    time.sleep(MINUTES * 60)
    browser.size(1180, 1010)
    browser.open("/console")
    shot(browser, "overview")
    done.set()
    for worker in workers:
        worker.join()
    browser.size(1180, 860)
    browser.open("/console/tree")
    browser.run("document.querySelector('#live details').open = true")
    shot(browser, "tree")
    browser.size(1180, 900)
    browser.open("/console/search?collection=docs&q=what+happens+when+the+queue+is+full&explain=1&k=4")
    shot(browser, "search")
    browser.open("/console/chat")
    Select(browser.find("select[name=model]")).select_by_value("extractive")
    Select(browser.find("select[name=collection]")).select_by_value("docs")
    browser.find("#message").send_keys("What happens when the queue is full?", Keys.CONTROL + Keys.ENTER)
    browser.until(lambda: browser.all(".citations a") and browser.find("#send").is_enabled(), "the answer")
    shot(browser, "chat")
    browser.dark(True)
    browser.size(390, 844, 2)
    browser.open("/console")
    shot(browser, "phone")


def shot(browser, name: str) -> None:
    browser.run("document.activeElement.blur()")
    path = pathlib.Path(FOLDER, f"{name}.png")
    browser.driver.save_screenshot(str(path))
    print(path.relative_to(ROOT), path.stat().st_size, "bytes")
