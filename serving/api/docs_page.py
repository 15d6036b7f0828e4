"""/docs: the API on one page, which loads nothing from other hosts and so works offline."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

STYLE = """
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 20%,transparent)}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
section{border:1px solid var(--line);border-radius:8px;padding:0 1rem 1rem;margin:1rem 0}
code,pre,textarea{font:14px/1.45 ui-monospace,monospace}
pre,textarea{width:100%;box-sizing:border-box;padding:.6rem;border:1px solid var(--line);border-radius:6px}
pre{overflow:auto}textarea{min-height:11rem;background:transparent;color:inherit}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;border-top:1px solid var(--line);
padding:.3rem .6rem .3rem 0}button{font:inherit;padding:.3rem 1rem;margin:.4rem .4rem .4rem 0}
"""
SCRIPT = """
for (const form of document.querySelectorAll('form')) form.addEventListener('submit', async event => {
  event.preventDefault();
  const out = form.querySelector('pre'), key = document.getElementById('key').value;
  const headers = key ? {Authorization: 'Bearer ' + key} : {};
  const area = form.querySelector('textarea');
  if (area) headers['Content-Type'] = 'application/json';
  out.hidden = false; out.textContent = '…';
  try {
    const asked = {method: form.dataset.method, headers, body: area ? area.value : undefined};
    const reply = await fetch(form.dataset.path, asked);
    const text = await reply.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch {}
    out.textContent = reply.status + '\\n' + shown;
  } catch (error) { out.textContent = String(error); }
});
for (const pick of document.querySelectorAll('button[data-example]')) pick.addEventListener('click', () => {
  pick.closest('form').querySelector('textarea').value = pick.dataset.example;
});
"""


def page(schema: Mapping[str, Any], model: str) -> str:
    """Return the page for an OpenAPI schema: every path with its fields, and examples to send."""
    parts = [
        _section(path, method, about, schema)
        for path, methods in schema["paths"].items()
        for method, about in methods.items()
        if "{" not in path
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>medbench: {_e(model)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>"
        f"<h1>medbench serves {_e(model)}</h1><p>{_prose(schema['info'].get('description', ''))} "
        "The schema for programs: <a href=openapi.json>openapi.json</a>.</p>"
        "<p><label>Key, if this server asks for one: <input id=key type=password autocomplete=off></label></p>"
        f"{''.join(parts)}<script>{SCRIPT}</script></html>"
    )


def _section(path: str, method: str, about: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    content = about.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = _resolved(content.get("schema", {}), schema)
    examples = [json.dumps(one, indent=2, ensure_ascii=False) for one in body.get("examples", [])]
    rows = "".join(
        f"<tr><td><code>{_e(name)}</code>{' *' if name in body.get('required', ()) else ''}</td>"
        f"<td>{_e(_kind(field, schema))}</td><td>{_prose(field.get('description', ''))}</td></tr>"
        for name, field in body.get("properties", {}).items()
    )
    table = f"<table><tr><th>Field (* required)<th>Type<th>{rows}</table>" if rows else ""
    buttons = "".join(
        f"<button type=button data-example='{_e(one)}'>Example {number}</button>"
        for number, one in enumerate(examples, start=1)
        if len(examples) > 1
    )
    area = f"<textarea spellcheck=false>{_e(examples[0])}</textarea>" if examples else ""
    return (
        f"<section><h2>{method.upper()} <code>{_e(path)}</code></h2><p><b>{_prose(about.get('summary', ''))}.</b> "
        f"{_prose(about.get('description', ''))}</p>{table}<form data-path='{_e(path)}' data-method={method.upper()}>"
        f"{buttons}{area}<button>Send</button><pre hidden></pre></form></section>"
    )


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(part.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = schema["components"]["schemas"][name] if name else part
    return found


def _kind(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Describe a field's type in a few words."""
    options = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    if options:
        return " or ".join(dict.fromkeys(_kind(one, schema) for one in options))
    if "$ref" in field:
        return "object"
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}), schema)}"
    return str(field.get("type", ""))


def _prose(text: str) -> str:
    """Return a description as HTML, with what is between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _e(text))


def _e(text: str) -> str:
    return html.escape(text, quote=True)
