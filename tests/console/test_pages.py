"""What holds for every page."""

import unittest

import shared
from browser import PAGES
from selenium.webdriver.common.keys import Keys

FOCUSABLE = """
return [...document.querySelectorAll('a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
    .filter((element) => element.checkVisibility()).length;
"""
NOTE = """
window.seen = new Set();
window.unseen = [];
document.addEventListener('focusin', (event) => {
    window.seen.add(event.target);
    if (getComputedStyle(event.target).outlineStyle === 'none') window.unseen.push(event.target.outerHTML.slice(0, 120));
});
"""


class Pages(unittest.TestCase):
    def setUp(self) -> None:
        self.browser = shared.BROWSER
        self.browser.size(1280, 900)
        self.browser.dark(False)

    def tearDown(self) -> None:
        self.browser.size(1280, 900)
        self.browser.dark(False)

    def each(self):
        for name, path in PAGES.items():
            with self.subTest(name):
                self.browser.open(path)
                yield name

    def test_nothing_goes_wrong_and_nobody_else_is_asked(self) -> None:
        self.browser.wrong()
        for _ in self.each():
            self.assertEqual(self.browser.wrong(), [])
            self.assertEqual(self.browser.all("img[src=x], script:not([src])"), [])

    def test_accessibility_in_light_and_dark(self) -> None:
        for _ in self.each():
            for is_dark in (False, True):
                self.browser.dark(is_dark)
                self.assertEqual(self.browser.violations(), [], f"dark: {is_dark}")

    def test_light_and_dark_differ(self) -> None:
        self.browser.open("/console")
        colours = set()
        for is_dark in (False, True):
            self.browser.dark(is_dark)
            colours.add(self.browser.run("return getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(len(colours), 2, colours)

    def test_a_phone_scrolls_only_down(self) -> None:
        self.browser.size(360, 740)
        for _ in self.each():
            width = self.browser.run("return document.documentElement.scrollWidth")
            wide = self.browser.run(
                "return [...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth"
                " && !e.closest('.scroll, nav')).map((e) => e.outerHTML.slice(0, 100)).slice(0, 5)"
            )
            self.assertLessEqual(width, 360, wide)

    def test_the_keyboard_reaches_everything_and_is_seen(self) -> None:
        for _ in self.each():
            # A live part that is replaced in the middle would be counted anew.
            self.browser.run("document.querySelectorAll('[hx-trigger]').forEach((e) => e.replaceWith(e.cloneNode(true)))")
            self.browser.run("document.activeElement.blur()")
            self.browser.run(NOTE)
            wanted = self.browser.run(FOCUSABLE)
            self.browser.press(*[Keys.TAB] * (wanted + 5))
            self.assertEqual(self.browser.run("return window.unseen"), [])
            self.assertGreaterEqual(self.browser.run("return window.seen.size"), wanted)

    def test_the_first_key_skips_to_the_page(self) -> None:
        self.browser.open("/console/tree")
        self.browser.press(Keys.TAB)
        self.assertEqual(self.browser.run("return document.activeElement.textContent"), "Skip to the page")
        self.browser.press(Keys.ENTER)
        self.browser.until(lambda: self.browser.run("return document.activeElement.id") == "main", "the page has the focus")

    def test_the_navigation_leads_everywhere(self) -> None:
        self.browser.open("/console")
        count = len(self.browser.all("nav[aria-label=Console] a"))
        self.assertGreaterEqual(count, 10)
        for at in range(count):
            link = self.browser.all("nav[aria-label=Console] a")[at]
            name = link.text
            link.send_keys(Keys.ENTER)
            self.browser.until(lambda: self.browser.text("nav [aria-current=page]") == name, f"{name} is shown")
            self.assertIn(" · Boathouse", self.browser.driver.title)
        self.assertEqual(self.browser.wrong(), [])
