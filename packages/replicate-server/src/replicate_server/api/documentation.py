"""The OpenAPI document and a page for people that renders it. The page is self-contained: it loads nothing from elsewhere."""

from __future__ import annotations

from functools import cache

from starlette.types import ASGIApp

from replicate_server.api.answers import Answer
from replicate_server.api.calls import Call
from replicate_server.api.openapi import build_document, encode_document

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


@cache
def _document() -> bytes:
    # The table of routes names the handlers of this module, so it can be asked for only when everything is loaded.
    from replicate_server.api.routes import PROTECTED, PUBLIC

    return encode_document(build_document(protected=PROTECTED, public=PUBLIC)).encode()


async def show_document(call: Call) -> ASGIApp:
    """``GET /openapi.json``: this API as an OpenAPI 3.1 document."""
    return Answer(_document())


async def show_page(call: Call) -> ASGIApp:
    """``GET /docs``: the document as a page to read."""
    return Answer(PAGE.encode(), media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HTTP API</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #222; background: #fff; }
details { border: 1px solid #ccc; border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { background: #f4f4f4; padding: .6rem; overflow: auto; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; } pre { background: #262626; } }
</style>
</head>
<body>
<h1>HTTP API</h1>
<p>The machine-readable form of this page is <a href="/openapi.json">openapi.json</a>.</p>
<main aria-live="polite">Loading…</main>
<h2>Shapes</h2>
<section id="shapes"></section>
<script>
"use strict";
function make(tag, text, parent) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}
function nameOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.properties && schema.properties.results) return "page of " + nameOf(schema.properties.results.items);
  if (schema.type === "array") return "array of " + nameOf(schema.items || {});
  return JSON.stringify(schema);
}
function showContent(title, holder, parent) {
  for (const [media, content] of Object.entries(holder.content || {}))
    make("p", title + ": " + media + ", " + nameOf(content.schema), parent);
}
function showOperation(method, path, operation, parent) {
  const box = make("details", "", parent);
  const head = make("summary", "", box);
  const verb = make("code", method.replace("x-", "").toUpperCase(), head);
  verb.className = "method";
  make("code", path, head);
  head.append(" " + operation.summary);
  if (operation.description) make("p", operation.description, box);
  if (operation.requestBody) showContent("Body", operation.requestBody, box);
  for (const [status, response] of Object.entries(operation.responses)) {
    make("p", status + ": " + response.description, box);
    showContent("Answer", response, box);
  }
}
fetch("/openapi.json").then(answer => answer.json()).then(api => {
  const main = document.querySelector("main");
  main.textContent = "";
  for (const [path, operations] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(operations)) showOperation(method, path, operation, main);
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    const box = make("details", "", document.getElementById("shapes"));
    make("code", name, make("summary", "", box));
    make("pre", JSON.stringify(schema, null, 2), box);
  }
}).catch(error => { document.querySelector("main").textContent = "The document cannot be loaded: " + error; });
</script>
</body>
</html>
"""
