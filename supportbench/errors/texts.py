"""What exceptions say, whoever wrote them."""

from __future__ import annotations


def text_of(exc: BaseException) -> str:
    """Return the exception's text as text that can be written anywhere, whatever its class does when it is asked."""
    try:
        text = str(exc)
    except Exception:  # a plugin's exception may fail at even this
        return "(it cannot be printed)"
    return text.encode("utf-8", "backslashreplace").decode()
