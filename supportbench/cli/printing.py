"""Text from tickets, agents, models and plugins, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with control characters (terminal escapes among them) replaced by visible ones."""
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
