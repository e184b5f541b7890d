"""What autodoc and napoleon need to be told about our docstrings and signatures."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docstrings import prepare_docstring

import supportbench

_AFTER_NAPOLEON = 600


def find_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Node | None:
    """Return a link to the public name of what a signature mentions, or None where it has none.

    A signature names a value by the module that defines it (`supportbench.models.tickets.Ticket`), while the pages have
    it under the name that plugins import (`supportbench.Ticket`).
    """
    name = str(node.get("reftarget", "")).rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in supportbench.__all__:
        return None
    python = env.domains.python_domain
    public = f"supportbench.{name}"
    if public not in python.objects:
        return None
    kind = python.objects[public].objtype
    docname = env.current_document.docname
    return python.resolve_xref(env, docname, app.builder, kind, public, node, contnode)


def restore_property(  # noqa: PLR0917 - as Sphinx calls it
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Undo what napoleon does to properties: it takes what stands before a colon in the docstring for their type."""
    if what == "property":
        lines[:] = prepare_docstring(obj.__doc__ or "")


def hide_protocol_signature(  # noqa: PLR0917 - as Sphinx calls it
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave out `(*args, **kwargs)`, which says nothing about a protocol."""
    return ("", "") if getattr(obj, "_is_protocol", False) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("missing-reference", find_public_name)
    app.connect("autodoc-process-docstring", restore_property, priority=_AFTER_NAPOLEON)
    app.connect("autodoc-process-signature", hide_protocol_signature)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
