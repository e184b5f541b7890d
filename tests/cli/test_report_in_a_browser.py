"""A report as its reader meets it: in a browser, from a disk, by mouse and by keyboard, with and without scripts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.cli.command import in_this_process
from tests.cli.hostile import HOSTILE, play

_CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a report of two runs, and a hostile one; both reveal, which is the most that one can show."""
    folder = tmp_path_factory.mktemp("reports")
    play(folder)
    for arguments in (
        ["run", "--agent", "heuristic", "--repeats", "2", "--out", "heuristic"],
        ["run", "--agent", "random", "--repeats", "2", "--out", "random"],
        ["report", "heuristic", "random", "--reveal", "--output", "two.html"],
        ["report", "hostile", "--reveal", "--output", "hostile.html"],
    ):
        done = in_this_process(*arguments, cwd=folder)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def browser(reports: Path) -> Iterator[Browser]:  # not before the reports, whose making has a loop of its own
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_CHROMIUM)
        yield chromium
        chromium.close()


class Reader:
    """Opens reports, and remembers what went wrong and what was asked of the network."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def open(self, name: str, **how: Any) -> Page:
        context = self._browser.new_context(**how)
        context.on("console", lambda message: self.complaints.append(message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("request", lambda request: self.requests.append(request.url))
        page = context.new_page()
        page.goto(f"{self._folder.as_uri()}/{name}")
        return page


@pytest.fixture
def reader(browser: Browser, reports: Path) -> Iterator[Reader]:
    """A reader who has nothing to complain of in the end, and whose pages asked for nothing but themselves."""
    opened = Reader(browser, reports)
    yield opened
    for context in browser.contexts:
        context.close()
    assert opened.complaints == []
    assert all(url.startswith(f"{reports.as_uri()}/") and url.endswith(".html") for url in opened.requests)


def column(page: Page, place: int) -> list[str]:
    return page.locator(f"#list tbody tr:not(.later) > :nth-child({place})").all_inner_texts()


class TestTheTable:
    def test_sorts_by_any_column_both_ways(self, reader: Reader) -> None:
        page = reader.open("two.html")
        header = page.get_by_role("columnheader", name="B", exact=True)
        page.get_by_role("button", name="B", exact=True).click()
        expect(header).to_have_attribute("aria-sort", "ascending")
        rising = list(map(float, column(page, 5)))
        assert rising == sorted(rising)
        assert len(set(rising)) > 1
        page.get_by_role("button", name="B", exact=True).press("Enter")
        expect(header).to_have_attribute("aria-sort", "descending")
        assert list(map(float, column(page, 5))) == rising[::-1]
        page.get_by_role("button", name="ticket", exact=True).click()
        assert page.locator("[aria-sort]").count() == 1
        assert column(page, 1) == sorted(column(page, 1))

    def test_filters_by_words_task_and_score(self, reader: Reader) -> None:
        page = reader.open("two.html")
        status = page.get_by_role("status")
        expect(status).to_have_text("9 tickets")
        page.get_by_role("searchbox").fill("exe-44")
        expect(status).to_have_text("4 of 9 tickets")
        assert {ticket[:6] for ticket in column(page, 1)} == {"EXE-44"}
        page.get_by_label("Score at most").fill("0")
        expect(status).to_have_text("0 of 9 tickets")
        page.get_by_role("button", name="Show all").click()
        expect(status).to_have_text("9 tickets")
        page.get_by_role("combobox", name="Task").select_option("easy_inbox_cleanup")
        assert set(column(page, 3)) == {"easy_inbox_cleanup"}
        page.get_by_role("combobox", name="Task").select_option("all")
        page.get_by_role("checkbox", name="unsafe").check()
        expect(status).to_have_text("0 of 9 tickets")

    def test_is_all_there_without_scripts_and_leads_to_tickets(self, reader: Reader) -> None:
        page = reader.open("two.html", java_script_enabled=False)
        assert len(column(page, 1)) == 9
        expect(page.get_by_role("searchbox")).to_be_hidden()
        page.get_by_role("link", name="SLA-3112").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("SLA-3112")
        expect(page.locator("#overview")).to_be_hidden()


class TestATicket:
    def test_is_opened_by_keyboard_and_left_again(self, reader: Reader) -> None:
        page = reader.open("two.html")
        link = page.get_by_role("link", name="INB-2058")
        link.focus()
        page.keyboard.press("Enter")
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_contain_text("INB-2058")
        expect(heading).to_be_focused()
        assert page.title().startswith("INB-2058")
        page.get_by_role("link", name="Next").press("Enter")
        expect(heading).to_contain_text("SLA-3107")
        page.keyboard.press("Escape")
        expect(page.locator("#overview")).to_be_visible()
        expect(page.get_by_role("link", name="SLA-3107")).to_be_focused()

    def test_has_mail_replies_and_differences(self, reader: Reader) -> None:
        page = reader.open("two.html")
        page.get_by_role("link", name="SLA-3112").click()
        ticket = page.locator(".ticket:target")
        expect(ticket).to_contain_text("something at your end broke our inbound order hooks")
        expect(ticket).to_contain_text("your webhooks get error 500")
        expect(ticket.get_by_role("table", name="Where the runs differ")).to_contain_text("reward")
        page.go_back()
        expect(page.locator("#overview")).to_be_visible()


def test_what_others_wrote_is_text_and_does_not_run(reader: Reader) -> None:
    page = reader.open("hostile.html")
    written = HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    for number in range(1, 8):
        page.goto(f"{page.url.partition('#')[0]}#t{number}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"T{number - 1} </script><script>")
    page.goto(f"{page.url.partition('#')[0]}#t1")
    texts = page.locator(".ticket:target .text").all_text_contents()
    assert texts == [f"{written}\n\nsecond paragraph", written, written]
    assert page.locator(".ticket:target mark").all_text_contents() == [written[:9], written[9:17], written[17:41]]
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("img, iframe, object, embed, form").count() == 0
    assert page.locator("script").count() == 1
    expect(page.locator("header")).to_have_count(1)


def test_what_gets_in_all_the_same_may_not_run(browser: Browser, reports: Path) -> None:
    page = Reader(browser, reports).open("hostile.html")
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='window.hacked = 2'>");
        }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("typeof window.hacked") == "undefined"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["two.html", "two.html#t3"])
def test_nobody_is_shut_out(reader: Reader, place: str, scheme: str) -> None:
    page = reader.open(place, color_scheme=scheme)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_no_wider_than_its_window(reader: Reader, width: int) -> None:
    for place in ("two.html", "two.html#t3", "hostile.html", "hostile.html#t1"):
        page = reader.open(place, viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
