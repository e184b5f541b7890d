"""Concept coverage that forgives misspelling and word order, and the rubric `fuzzy`."""

from __future__ import annotations

supportbench_api = 1
