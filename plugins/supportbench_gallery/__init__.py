"""Dishonest policies: agents that try to earn a reward without reading the ticket, for `supportbench audit`."""

from __future__ import annotations

supportbench_api = 1
