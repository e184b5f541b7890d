"""Texts that speak to a judge."""

from __future__ import annotations

from supportbench_gallery.catch_all import template
from supportbench_gallery.policy import Scene, Texts
from supportbench_gallery.wording import wording


def instructions(scene: Scene) -> Texts:
    """Return orders to give full marks."""
    return wording().judge_summary, wording().judge_reply


def instructions_behind_a_template(scene: Scene) -> Texts:
    """Return the template for every queue, and orders to give it full marks."""
    summary, reply = template(scene)
    return f"{summary} {wording().judge_summary}", f"{reply} {wording().judge_reply}"
