"""Sphinx extension: the page for wrong addresses, and the version that the footer names."""

from __future__ import annotations

from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config

import sdmvae_lite

NOT_FOUND = """<h1>Page not found</h1>
<p>There is no page at this address. The contents beside this text, or behind the menu button, list
every page; the search finds a word on each.</p>"""


def place(_app: Sphinx, config: Config) -> None:
    """Have that page find styles and links from whatever address it is shown at."""
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path
    config.notfound_context = {"title": "Page not found", "body": NOT_FOUND}
    config.release = sdmvae_lite.__version__


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("notfound.extension")
    app.connect("config-inited", place, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
