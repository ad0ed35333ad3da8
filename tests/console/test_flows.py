"""What an operator does."""

import re
import unittest

import shared
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from upstream import HOSTILE

REPLACED = "return !document.getElementById('live').marked"


class Flows(unittest.TestCase):
    def setUp(self) -> None:
        self.browser = shared.BROWSER
        self.served = shared.SERVED
        self.browser.size(1280, 900)
        self.browser.wrong()

    def tearDown(self) -> None:
        self.assertEqual(self.browser.wrong(), [])

    def refreshed(self) -> None:
        self.browser.run("document.getElementById('live').marked = true")
        self.browser.until(lambda: self.browser.run(REPLACED), "the live part is shown anew")

    def test_charts_come_by_themselves(self) -> None:
        self.browser.open("/console")
        self.browser.until(lambda: "Requests a second" in self.browser.text("#live"), "the last hour is drawn")
        labels = [chart.get_attribute("aria-label") for chart in self.browser.all(".chart svg")]
        self.assertEqual(len(labels), 7, labels)
        self.assertTrue(any(label.startswith("Known cost a day") for label in labels), labels)

    def test_a_cell_is_restarted_by_keyboard_in_the_live_tree(self) -> None:
        self.browser.open("/console/tree")
        cell = "restart-root/engines/embedding"
        row = f"document.getElementById('{cell}').closest('tr').children[2].textContent"
        before = int(self.browser.run(f"return {row}"))
        self.browser.run(f"document.getElementById('{cell}').focus()")
        self.browser.press(Keys.ENTER)
        self.browser.until(lambda: "Restarted" in self.browser.text("#told"), "it is told")
        self.browser.until(lambda: int(self.browser.run(f"return {row}")) == before + 1, "the tree counts it")
        self.refreshed()
        self.assertEqual(self.browser.run("return document.activeElement.id"), cell)

    def test_what_was_opened_stays_open_and_letters_are_released(self) -> None:
        self.browser.open("/console/tree")
        self.browser.run("document.querySelector('#live details').querySelector('summary').click()")
        self.refreshed()
        self.assertIn("crash-", self.browser.text("#live details[open]"))
        self.browser.run("document.querySelector('[id^=release-]').focus()")
        self.browser.press(Keys.ENTER)
        self.browser.until(lambda: "Released" in self.browser.text("#told"), "it is told")
        self.browser.until(lambda: "None." in self.browser.text("#live"), "it is gone")

    def test_a_search_is_typed_and_explained(self) -> None:
        self.browser.open("/console/search")
        Select(self.browser.find("select[name=collection]")).select_by_value("docs")
        self.browser.find("input[name=q]").send_keys("what happens when a worker hangs", Keys.ENTER)
        self.browser.until(lambda: self.browser.all(".hits > li"), "hits are shown")
        self.assertIn("Compared", self.browser.text(".plan"))
        self.browser.find(".hits a").click()
        self.browser.until(lambda: "Payload" in self.browser.text("main"), "the point is shown")
        self.browser.driver.back()
        self.browser.find("input[name=filter]").send_keys("{", Keys.ENTER)
        self.browser.until(lambda: "no JSON" in self.browser.text("[role=alert]"), "it is told")

    def choose(self, model: str, collection: str = "") -> None:
        self.browser.open("/console/chat")
        Select(self.browser.find("select[name=model]")).select_by_value(model)
        Select(self.browser.find("select[name=collection]")).select_by_value(collection)

    def say(self, text: str) -> None:
        self.browser.find("#message").send_keys(text, Keys.CONTROL + Keys.ENTER)

    def answered(self, text: str) -> None:
        self.browser.until(lambda: text in self.browser.text("#log .turn:last-of-type"), text)

    def test_a_chat_streams_and_goes_on(self) -> None:
        shared.UPSTREAM.go_on.clear()
        self.choose("up/patient")
        self.say("When?")
        self.answered("The first half")
        self.assertNotIn("second", self.browser.text("#log"))
        self.assertTrue(self.browser.find("#stop").is_enabled())
        shared.UPSTREAM.go_on.set()
        self.answered("The first half and the second.")
        self.answered("42 tokens read, 9 written")
        self.browser.until(lambda: not self.browser.find("#stop").is_enabled(), "it has ended")
        self.say("And then?")
        self.browser.until(lambda: len(self.browser.all(".turn.assistant")) == 2, "a second answer")

    def test_a_chat_is_stopped(self) -> None:
        shared.UPSTREAM.go_on.clear()
        self.choose("up/patient")
        self.say("When?")
        self.answered("The first half")
        self.browser.find("#stop").click()
        self.answered("Stopped.")
        shared.UPSTREAM.go_on.set()
        self.browser.until(lambda: self.browser.find("#send").is_enabled(), "one may ask again")
        self.assertNotIn("second", self.browser.text("#log"))

    def test_an_answer_cites_the_points_that_it_is_from(self) -> None:
        self.choose("extractive", "docs")
        self.say("What happens when the queue is full?")
        self.browser.until(lambda: self.browser.all(".citations a"), "citations")
        self.assertTrue(self.browser.all(".turn .mark"))
        self.browser.find(".citations a").click()
        self.browser.until(lambda: "Payload" in self.browser.text("main"), "the point is shown")
        self.assertIn("Busy", self.browser.text("main"))

    def test_what_a_model_says_is_text(self) -> None:
        self.choose("up/hostile")
        self.say(HOSTILE)
        self.answered(HOSTILE)
        self.assertEqual(self.browser.all("#log img, #log script"), [])

    def test_failures_of_a_chat_are_told(self) -> None:
        self.choose("up/broken")
        self.say("When?")
        self.browser.until(lambda: self.browser.all("#log [role=alert]"), "it broke off")
        self.choose("extractive", "docs")
        self.browser.run("document.querySelector('[name=collection]').selectedOptions[0].value = 'nobody'")
        self.say("When?")
        self.browser.until(lambda: "nobody" in self.browser.text("#log [role=alert]"), "there is no such collection")
        # The browser notes that an answer had another status than 200.
        self.assertTrue(all("404" in one for one in self.browser.wrong()))

    def test_a_payload_is_judged(self) -> None:
        self.browser.open("/console/validators?kind=email")
        self.browser.find("form.panel button").send_keys(Keys.ENTER)
        self.browser.until(lambda: "email.placeholder" in self.browser.text("#judged"), "findings")
        self.assertIn("/subject", self.browser.text("#judged"))
        area = self.browser.find("textarea[name=payload]")
        area.clear()
        area.send_keys("{")
        self.browser.find("form.panel button").click()
        self.browser.until(lambda: "no JSON" in self.browser.text("#judged [role=alert]"), "it is told")

    def test_a_task_is_reviewed(self) -> None:
        self.browser.open("/console/review")
        before = self.waiting()
        self.browser.find("tbody a").click()
        self.browser.until(lambda: self.browser.all("button[value=accept]"), "the task")
        self.browser.find("input[name=reviewer]").send_keys("ada")
        self.browser.find("button[value=accept]").send_keys(Keys.ENTER)
        self.browser.until(lambda: self.waiting() == before - 1, "one less waits")

    def waiting(self) -> int | None:
        """How many tasks the queue says it has; nothing on another page."""
        told = re.search(r"Waiting for a person: (\d+) task", self.browser.text("main .note"))
        return int(told[1]) if told else None

    def test_datasets_are_made_in_place(self) -> None:
        self.browser.open("/console/datasets")
        self.browser.find("form[action$=materialize] button").click()
        self.browser.until(lambda: "up to date" in self.browser.text("#told"), "the tasks")
        Select(self.browser.find("select[name=kind]")).select_by_value("preference")
        self.browser.find("input[name=name]").send_keys("pairs")
        self.browser.find("form[action$=export] button").click()
        self.browser.until(lambda: "The export pairs is written." in self.browser.text("#told"), "the export")
        self.assertIn("pairs", self.browser.text("#folders"))
        self.browser.find("input[name=name]").send_keys("/../x")
        self.browser.find("form[action$=export] button").click()
        self.browser.until(lambda: "the name must be" in self.browser.text("#wrong"), "it is told")

    def test_evidence_is_filtered_and_read(self) -> None:
        self.browser.open("/console/evidence")
        Select(self.browser.find("select[name=kind]")).select_by_value("chat")
        self.browser.find("form button").click()
        self.browser.until(lambda: "kind=chat" in self.browser.driver.current_url, "the filter")
        self.browser.find("tbody a").click()
        self.browser.until(lambda: "Conversation" in self.browser.text("main"), "the record")

    def test_a_button_works_without_scripts(self) -> None:
        self.browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            self.browser.open("/console/tree")
            self.browser.find("td.act button").click()
            self.assertIn("restarted=", self.browser.driver.current_url)
        finally:
            self.browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        self.browser.open("/console")
