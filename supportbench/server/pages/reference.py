"""`/docs`: the OpenAPI document as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from supportbench.server.pages.rendering import code, table, text

Schema = Mapping[str, Any]

_COMPONENTS: Final = "#/components/schemas/"
_ALSO_REFUSED: Final = frozenset(("401", "403", "413", "421", "429"))
"""What any route may answer; said once."""


def reference_page(document: Mapping[str, Any]) -> str:
    """Return the content of the page, as HTML."""
    about = document["info"]["description"].split("\n\n")
    return "\n".join(
        (
            "<h1>The API</h1>",
            *(f"<p>{_marked(paragraph)}</p>" for paragraph in about),
            *_everywhere(document),
            *(part for tag in document["tags"] for part in _section(document, tag)),
            '<h2 id="schemas">Schemas</h2>',
            *(_component(name, schema) for name, schema in document["components"]["schemas"].items()),
        )
    )


def _everywhere(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what holds for all routes."""
    told: dict[str, str] = {}
    for methods in document["paths"].values():
        for operation in methods.values():
            told |= {
                status: answer["description"]
                for status, answer in operation["responses"].items()
                if status in _ALSO_REFUSED
            }
    rows = [(code(status), _marked(description)) for status, description in sorted(told.items())]
    yield table("Any request may be refused with", ("status", "when"), rows)
    if "security" in document:
        yield "<p>Every request but to <code>/health</code> needs <code>Authorization: Bearer TOKEN</code>.</p>"


def _section(document: Mapping[str, Any], tag: Mapping[str, str]) -> Iterator[str]:
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    ]
    if operations:
        yield f'<h2 id="{text(tag["name"].lower().replace(" ", "-"))}">{text(tag["name"])}</h2>'
        yield f"<p>{_marked(tag['description'])}</p>"
        for path, method, operation in operations:
            yield _operation(path, method, operation)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    kind = f'<span class="method {text(method)}">{text(method.upper())}</span>'
    summary = f"<summary>{kind} {code(path)} <span>{_marked(operation['summary'])}</span></summary>"
    parts = [f'<details id="{text(operation["operationId"])}">{summary}']
    if "description" in operation:
        parts.append(f"<p>{_marked(operation['description'])}</p>")
    if "parameters" in operation:
        rows = [
            (
                f"{code(parameter['name'])}<small>{text(parameter['in'])}</small>",
                _kind(parameter["schema"]),
                _marked(parameter["description"]),
            )
            for parameter in operation["parameters"]
        ]
        parts.append(table("Parameters", ("name", "type", "meaning"), rows))
    if "requestBody" in operation:
        body = operation["requestBody"]
        kinds = ", ".join(_kind(content["schema"]) for content in body["content"].values())
        parts.append(f"<p>The body is {kinds}{'' if body['required'] else ', or there is none'}.</p>")
    rows = [
        (code(status), _marked(answer["description"]) + _headers(answer), _contents(answer))
        for status, answer in operation["responses"].items()
        if status not in _ALSO_REFUSED
    ]
    parts.append(table("Answers", ("status", "when", "body"), rows))
    return "\n".join((*parts, "</details>"))


def _headers(answer: Mapping[str, Any]) -> str:
    return "".join(
        f"<small>{code(name)}: {_marked(header['description'])}</small>"
        for name, header in answer.get("headers", {}).items()
    )


def _contents(answer: Mapping[str, Any]) -> str:
    contents: Mapping[str, Any] = answer.get("content", {})
    if not contents:
        return "none"
    return ", ".join(
        _kind(content["schema"]) if media == "application/json" else code(media) for media, content in contents.items()
    )


def _component(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        (
            code(key) + ("<small>required</small>" if key in required else ""),
            _kind(part),
            _marked(part.get("description", "")),
        )
        for key, part in schema.get("properties", {}).items()
    ]
    heading = f'<h3 id="{text(name)}">{text(name)}</h3>'
    described = f"<p>{_marked(schema.get('description', ''))}</p>"
    return heading + described + table(f"Keys of {name}", ("key", "type", "meaning"), rows)


def _kind(schema: Schema) -> str:
    """Return what a value may be, in words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_COMPONENTS)
        return f'<a href="#{text(name)}">{text(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(code(json.dumps(value, ensure_ascii=False)) for value in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("items") or {"anyOf": schema.get("prefixItems", [{}])}
        return f"list of {_kind(items)}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])}"
    return text(" ".join((str(schema.get("type", "anything")), *_limits(schema))))


def _limits(schema: Schema) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 1 << 53:
        yield f"from {low:,} to {high:,}"
    elif low is not None:
        yield f"from {low:,}"
    if "exclusiveMinimum" in schema:
        yield f"above {schema['exclusiveMinimum']:,}"
    if "maxLength" in schema:
        yield f"of {schema.get('minLength', 0)} to {schema['maxLength']} characters"


def _marked(sentence: str) -> str:
    """Return the text with what stands between backticks as code."""
    pieces: Sequence[str] = sentence.split("`")
    if len(pieces) % 2 == 0:  # one that has no partner means itself
        return text(sentence)
    return "".join(code(piece) if number % 2 else text(piece) for number, piece in enumerate(pieces))
