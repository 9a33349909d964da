"""The player: a page that decodes in the browser, and the server that gives it out locally.

`page` holds the page, its JavaScript API and the decoder as WebAssembly (tools/wasm makes it).
"""
