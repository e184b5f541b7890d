"""`supportbench report`: what it writes where, what it says of runs that lack something, and what it refuses."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import Result
from markdown_it import MarkdownIt

from tests.cli.command import in_this_process, supportbench
from tests.cli.hostile import play
from tests.installing import installed_module, without_library


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of two agents, one of them graded again, a run on a file of tickets, and a hostile one."""
    folder = tmp_path_factory.mktemp("played")
    play(folder)
    (folder / "mine.jsonl").write_text(
        json.dumps(
            {"ticket_id": "A-1", "subject": "All is white", "body": "Nothing loads.", "answer_key": {"priority": "P1"}}
        )
    )
    for arguments in (
        ["run", "--agent", "heuristic", "--repeats", "2", "--out", "good"],
        ["run", "--agent", "random", "--repeats", "2", "--out", "bad"],
        ["run", "--tickets", "mine.jsonl", "--out", "mine"],
        ["regrade", "good", "--rubric", "exact", "--out", "exact"],
    ):
        done = in_this_process(*arguments, cwd=folder)
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def here(played: Path, tmp_path: Path) -> Path:
    """Copies of them that a test may change."""
    shutil.copytree(played, tmp_path / "here")
    return tmp_path / "here"


def report(*arguments: str, cwd: Path) -> Result:
    done = in_this_process("report", *arguments, cwd=cwd)
    assert done.exit_code == 0, done.output
    return done


def page_of(*arguments: str, cwd: Path) -> str:
    report(*arguments, "--output", "page.html", cwd=cwd)
    return (cwd / "page.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """Return the page's text on one line, as a reader sees it."""
    without_code = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_code)).split())


class TestTheFile:
    def test_is_in_the_runs_folder_or_here_where_there_are_several(self, here: Path) -> None:
        assert re.fullmatch(r"Report: good/report.html \(1\d\d kB\)\n", report("good", cwd=here).stdout)
        assert "<title>Report of good</title>" in (here / "good/report.html").read_text()
        assert report("good", "bad", cwd=here).stdout.startswith("Report: report.html ")
        assert "<title>Report of 2 runs</title>" in (here / "report.html").read_text()

    def test_is_the_same_for_the_same_runs(self, here: Path) -> None:
        assert page_of("good", "bad", cwd=here) == page_of("good", "bad", cwd=here)

    def test_needs_nothing_else_and_lets_nothing_in(self, here: Path) -> None:
        page = page_of("good", "bad", cwd=here)
        assert (
            'http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; script-src &#39;sha256-' in page
        )
        assert not re.search(r'\b(?:src|srcset|style|on\w+)="', page)
        assert {link[0] for link in re.findall(r'href="([^"]+)"', page)} <= {"#", "d"}
        assert "@import" not in page
        assert "url(http" not in page

    def test_is_whole_or_not_there(self, here: Path) -> None:
        (here / "file").touch()
        for output in ("nowhere/page.html", "file/page.html"):
            done = in_this_process("report", "good", "--output", output, cwd=here)
            assert done.exit_code == 2
            assert f"Error: Cannot write {output}: " in done.stderr
            assert "--output" in done.stderr
        assert not [path for path in here.rglob(".*") if path.is_file()]

    def test_has_figures_with_intervals_and_charts_with_their_numbers(self, here: Path) -> None:
        page = page_of("good", "bad", cwd=here)
        text = text_of(page)
        assert "A good heuristic 0.98 (0.97–1.00) 100.0% (70.1%–100.0%) 0.0% (0.0%–29.9%) 18 0" in text
        assert "hard_exec_escalations" in text
        assert page.count("<svg") == page.count("</svg>") == page.count("The numbers") == 10
        for title in ("Score by task", "Score by component", "Reliability of the confidence", "Risk and coverage"):
            assert f"<strong>{title}</strong>" in page
        assert "B: queue" in text
        assert "under-escalation" in text

    def test_knows_no_price_until_one_is_known(self, here: Path) -> None:
        text = text_of(page_of("good", "bad", cwd=here))
        assert "Cost and score are not drawn, since fewer than two of the runs have a cost that is known." in text
        for run, cost in (("good", 0.002), ("bad", 0.001)):
            (here / run / "results.json").unlink()
            lines = [json.loads(line) for line in (here / run / "journal.jsonl").read_text().splitlines()]
            for line in lines:
                for step in line["steps"]:
                    step["usage"] = {"input_tokens": 100, "output_tokens": 10, "calls": 1, "cost_usd": cost}
            (here / run / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        text = text_of(page_of("good", "bad", cwd=here))
        assert "Cost and score" in text
        assert "dollars per 1,000 replies score A 2 0.98" in text
        assert "18 0 $0.036" in text


class TestATicket:
    def test_has_the_mail_the_action_and_the_grade_but_no_key(self, here: Path) -> None:
        page = text_of(page_of("good", cwd=here))
        assert "SLA-3112 500s on /in since your 4.12" in page
        assert "something at your end broke our inbound order hooks" in page
        assert "priority P2 1.00 0.30" in page
        assert "your webhooks get error 500" in page
        assert "repeats 1–2" in page
        for told in ("matched", "missed", "concepts", "What was expected", "unsafe phrases"):
            assert told not in page

    def test_has_the_key_and_what_was_matched_where_it_is_asked_for(self, here: Path) -> None:
        page = page_of("good", "--reveal", cwd=here)
        text = text_of(page)
        assert text.count("Answer keys are in this report.") == 1
        assert "queue technical, or success for 0.60" in text
        assert "2 of 3 concepts" in text
        assert '<span class="matched">security team</span><span class="missed">not click</span>' in page

    def test_says_where_runs_differ(self, here: Path) -> None:
        page = text_of(page_of("good", "bad", cwd=here))
        assert "Where the runs differ what A B reward 1.00 " in page
        again = text_of(page_of("good", "good", cwd=here))
        assert "Where the runs differ" not in again
        assert again.count("The runs decided alike and earned the same.") == 9


class TestARunThatLacksSomething:
    def test_is_shown_as_far_as_it_has_come(self, here: Path) -> None:
        (here / "good/results.json").unlink()
        journal = here / "good/journal.jsonl"
        most_tickets_first = sorted(journal.read_text().splitlines(keepends=True), key=len, reverse=True)
        journal.write_text("".join(most_tickets_first[:4]))
        text = text_of(page_of("good", cwd=here))
        assert "This run has not ended: 4 of 6 episodes are in its journal, and the figures are of those." in text
        assert "supportbench run --resume good" in text
        assert "(0.9" in text, "the figures are computed of what is there"

    def test_of_errors_has_no_zeros_for_them(self, here: Path) -> None:
        lines = [json.loads(line) for line in (here / "good/journal.jsonl").read_text().splitlines()]
        first, second = next(line["steps"] for line in lines if len(line["steps"]) == 2)
        first.update(status="error", grade=None, error="the grader is ill", error_kind="grader")
        second.update(status="unreached", action=None, grade=None)
        (here / "good/journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        page = page_of("good", cwd=here)
        text = text_of(page)
        assert "1 ticket ended in an error (1 unscored, since grading failed) and 1 were not reached" in text
        assert "Unscored, since its grading failed: the grader is ill" in text
        assert "Not reached: an earlier ticket of its episode ended in an error." in text
        assert re.search("<td>1.00<td><td>(unscored, graded|graded, unscored)\n", page), "the other repeat's alone"
        assert "good heuristic 0.98" in text

    def test_has_no_mails_where_its_tickets_are_gone_or_others(self, here: Path) -> None:
        shutil.move(here / "mine.jsonl", here / "moved.jsonl")
        manifest = (here / "mine/run.json").read_text()
        (here / "mine/run.json").write_text(re.sub('"[^"]+/mine.jsonl"', '"mine.jsonl"', manifest))
        done = report("mine", "--output", "page.html", cwd=here)
        assert "give the file with --tickets" in done.stderr
        page = text_of((here / "page.html").read_text())
        assert "The mails of A-1 are not shown, since it is not installed here" in page
        assert "Nothing loads." not in page
        assert "Nothing loads." in page_of("mine", "--tickets", "moved.jsonl", cwd=here)
        (here / "moved.jsonl").write_text((here / "moved.jsonl").read_text().replace("Nothing", "Something"))
        page = text_of(page_of("mine", "--tickets", "moved.jsonl", cwd=here))
        assert "since it is another one by now than when it was played." in page
        assert "Something loads." not in page

    def test_has_no_mails_where_a_server_had_them(self, here: Path) -> None:
        journal = here / "good/journal.jsonl"
        journal.write_text(re.sub('"task_fingerprint":"[^"]+"', '"task_fingerprint":"remote"', journal.read_text()))
        text = text_of(page_of("good", cwd=here))
        assert "it was played on a server, which does not tell what is in its tasks" in text
        assert "your webhooks get error 500" in text

    def test_is_shown_though_it_was_graded_again(self, here: Path) -> None:
        text = text_of(page_of("exact", "--reveal", cwd=here))
        assert "graded again from" in text
        assert "something at your end broke our inbound order hooks" in text

    def test_says_where_what_was_matched_cannot_be_told(self, here: Path) -> None:
        journal = here / "good/journal.jsonl"
        journal.write_text(
            re.sub('"default","fingerprint":"[^"]+"', '"default","fingerprint":"x"', journal.read_text())
        )
        text = text_of(page_of("good", "--reveal", cwd=here))
        assert "What was matched and missed in easy_inbox_cleanup" in text
        assert "its rubric 'default' is not installed here as it was when it graded" in text
        assert "queue technical, or success for 0.60" in text


def test_a_plugin_that_does_not_load_is_told_and_left_out(played: Path, tmp_path: Path) -> None:
    environ = installed_module(tmp_path, "flour", "import flour_mill")
    done = supportbench("report", "good", "--markdown", cwd=played, environ=environ)
    assert done.returncode == 0
    assert "Plugin 'flour' did not load, and is left out: importing 'supportbench_flour' raised" in done.stderr


class TestRunsThatDoNotCompare:
    def test_are_refused_unless_forced_and_told_then(self, here: Path) -> None:
        done = in_this_process("report", "good", "exact", cwd=here)
        assert done.exit_code == 2
        assert "Error: exact does not compare with good: task 'easy_inbox_cleanup' is graded by" in done.stderr
        assert "To report all the same: --force" in done.stderr
        assert not (here / "report.html").exists()
        text = text_of(page_of("good", "exact", "--force", cwd=here))
        assert "These runs stand side by side by --force, though they are not the same: exact: task 'easy" in text

    def test_have_tickets_of_their_own_where_tasks_are_others(self, here: Path) -> None:
        done = in_this_process("report", "good", "mine", cwd=here)
        assert done.exit_code == 2
        assert "mine has no task in common with good. To report them all the same: --force" in done.stderr
        text = text_of(page_of("good", "mine", "--force", cwd=here))
        assert "mine and good have no graded ticket in common: nothing to compare." in text
        assert "10 tickets" in text
        assert text.count("This run has not come to it.") == 10

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "Missing argument"),
            (["nowhere"], "'nowhere' does not exist"),
            (["."], "has no run.json: it is no run's folder"),
            (["good"] * 27, "A report is of 26 runs at most"),
            (["good", "--tickets", "nowhere"], "'nowhere' does not exist"),
        ],
    )
    def test_nor_does_what_is_no_run(self, played: Path, arguments: list[str], message: str) -> None:
        done = in_this_process("report", *arguments, cwd=played)
        assert done.exit_code == 2
        assert message in done.stderr

    @pytest.mark.parametrize("name", ["journal.jsonl", "run.json", "results.json"])
    def test_nor_is_anything_written_over_a_file_of_the_run(self, here: Path, name: str) -> None:
        before = (here / "good" / name).read_bytes()
        (here / "link").symlink_to(here / "good" / name)
        for output in (f"good/{name}", "link"):
            done = in_this_process("report", "good", "--markdown", "--output", output, cwd=here)
            assert done.exit_code == 2
            assert "is a file of the run itself" in done.stderr
        assert (here / "good" / name).read_bytes() == before

    def test_nor_does_a_run_without_an_episode(self, here: Path) -> None:
        (here / "good/journal.jsonl").write_text("")
        done = in_this_process("report", "good", cwd=here)
        assert done.exit_code == 2
        assert "good has no finished episode: there is nothing to report." in done.stderr


class TestTheShortForm:
    def test_goes_through_a_link_and_into_a_pipe(self, here: Path) -> None:
        (here / "link.md").symlink_to(here / "target.md")
        report("good", "--markdown", "--output", "link.md", cwd=here)
        assert (here / "link.md").is_symlink()
        assert (here / "target.md").read_text().startswith("### supportbench: `good`")
        printed = report("good", "--markdown", "--output", "-", cwd=here).stdout
        assert printed == (here / "target.md").read_text()
        assert not (here / "-").exists()
        os.mkfifo(here / "pipe")
        with ThreadPoolExecutor(1) as reading:
            read = reading.submit((here / "pipe").read_text)
            report("good", "--markdown", "--output", "pipe", cwd=here)
            assert read.result(timeout=60) == printed
        assert (here / "pipe").is_fifo()

    def test_is_printed_or_written(self, here: Path) -> None:
        printed = report("good", "bad", "--markdown", cwd=here).stdout
        assert printed.startswith("### supportbench: 2 runs\n\n| run | agent | average score |")
        assert "| A: `good` | `heuristic` | 0.98 (0.97–1.00) |" in printed
        assert "| B − A | 0.983 |" in printed
        assert "| B | `easy_inbox_cleanup` | `INB-2041` | 1.00 |" in printed
        assert report("good", "bad", "--markdown", "--output", "short.md", cwd=here).stdout.startswith(
            "Report: short.md"
        )
        assert (here / "short.md").read_text() == printed

    def test_takes_nothing_for_markup(self, here: Path) -> None:
        hostile = report("hostile", "--markdown", cwd=here).stdout
        parser = MarkdownIt("gfm-like", {"linkify": False})
        tokens = parser.parse(hostile)
        assert {token.type for token in tokens} <= {
            *("heading_open", "heading_close", "inline", "blockquote_open", "blockquote_close"),
            *("paragraph_open", "paragraph_close", "table_open", "table_close", "thead_open", "thead_close"),
            *("tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close"),
        }
        children = [child for token in tokens for child in token.children or ()]
        assert {child.type for child in children} <= {"text", "code_inline", "html_inline", "softbreak"}
        assert {child.content for child in children if child.type == "html_inline"} <= {"<sub>", "</sub>"}
        assert not re.search("@|#1", "".join(child.content for child in children if child.type == "text"))
        rows = [line for line in hostile.splitlines() if line.startswith("|")]
        assert len([token for token in tokens if token.type == "tr_open"]) == len(rows) - hostile.count("| --- |")


class TestWithoutAnExtra:
    @pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
    def test_there_is_no_page_but_the_short_form(self, played: Path, tmp_path: Path, library: str) -> None:
        environ = without_library(tmp_path / "without", library)
        done = supportbench("report", "good", "--output", str(tmp_path / "page.html"), cwd=played, environ=environ)
        assert done.returncode == 2
        assert "Error: report needs supportbench[report]: pip install 'supportbench[report]'" in done.stderr
        done = supportbench("report", "good", "--markdown", cwd=played, environ=environ)
        assert done.stdout.startswith("### supportbench: `good`"), done.stderr

    def test_there_are_means_and_what_to_install(self, here: Path, tmp_path: Path) -> None:
        (here / "good/results.json").unlink()
        environ = without_library(tmp_path / "without", "scipy")
        done = supportbench("report", "good", "bad", "--output", "page.html", cwd=here, environ=environ)
        assert done.returncode == 0, done.stderr
        text = text_of((here / "page.html").read_text())
        assert (
            "A: There are means alone. For intervals, calibration and more: pip install 'supportbench[stats]'" in text
        )
        assert "A good heuristic 0.98 – 0 18" in text
        assert "To compare needs supportbench[stats]" in text
