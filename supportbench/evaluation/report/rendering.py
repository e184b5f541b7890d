"""The report as a page: one file that opens from a disk, and in which no text of others is ever markup.

Imports Jinja2 and matplotlib: whoever imports this asks `extra` first.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

import jinja2
import msgspec
from markupsafe import Markup

from supportbench import codec
from supportbench.evaluation.report.beside import differences_in
from supportbench.evaluation.report.charts import charts_of
from supportbench.evaluation.report.drawing import Sheet
from supportbench.evaluation.report.matrices import matrices_of
from supportbench.evaluation.report.notices import notices_of
from supportbench.evaluation.report.records import Report
from supportbench.evaluation.report.scores import MOST_TASKS
from supportbench.evaluation.report.wording import (
    clean,
    dollars,
    figure,
    interval,
    repeats_told,
    seconds,
    share,
    signed,
)
from supportbench.wording import counted, shortened

_MOST_CHOICES: Final = 100
_FINGERPRINT: Final = len("sha256:") + 12


def page_of(report: Report) -> Iterator[bytes]:
    """Yield the page, in parts, as UTF-8; the same for the same report.

    Its policy allows this page's script and style, by their hashes, and nothing else: no request leaves it, and what
    gets into it as text does not run.
    """
    environment = _environment()
    sheet = Sheet()
    charts, matrices = list(charts_of(report, sheet)), list(matrices_of(report, sheet))  # before the sheet is read
    script, style = _file("script.js"), _file("style.css") + sheet.css
    tasks = list(dict.fromkeys(_short(clean(ticket.task_id)) for ticket in report.tickets))
    stream = environment.get_template("page.html").stream(
        report=report,
        title=title_of(report),
        notices=list(notices_of(report)),
        charts=charts,
        matrices=matrices,
        tasks=tasks if len(tasks) <= _MOST_CHOICES else [],  # where they are more, to search is quicker than to choose
        outcomes=list(dict.fromkeys(outcome for ticket in report.tickets for outcome in ticket.outcomes)),
        triages=[
            (place, run, triage)
            for place, run in enumerate(report.runs)
            if run.summary.statistics is not None and (triage := run.summary.statistics.triage) is not None
        ],
        most_tasks=MOST_TASKS,
        policy=_policy(script, style),
        script=Markup(script),  # noqa: S704 - our own
        style=Markup(style),  # noqa: S704 - our own
    )
    stream.enable_buffering(1024)
    return (part.encode() for part in stream)


def title_of(report: Report) -> str:
    """Return what the report is of."""
    if len(report.runs) > 1:
        return f"Report of {len(report.runs)} runs"
    return f"Report of {report.runs[0].name}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clean=clean,
        counted=counted,
        differences=differences_in,
        dollars=dollars,
        figure=figure,
        fingerprint=lambda text: clean(text[:_FINGERPRINT]),
        interval=interval,
        json=lambda value: clean(msgspec.json.encode(codec.unstructure(value)).decode()),
        repeats=repeats_told,
        seconds=seconds,
        share=share,
        shorten=_short,
        signed=signed,
    )
    return environment


def _short(text: str) -> str:
    return shortened(text, 80)


def _file(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def _policy(script: str, style: str) -> str:
    allowed = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{what} {where}" for what, where in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
