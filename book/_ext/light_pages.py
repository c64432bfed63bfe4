"""Sphinx extension: pages stay light.

What the HTML of a page embeds as ``data:`` addresses, sounds and pictures, is moved into files
beside the pages, named by their content; a browser fetches a sound when it is played and a picture
when it comes near. Pictures have at most 256 colours, and code no marks that show nothing. A page
loads MathJax only where it has formulas, and no state of widgets, which nothing in it could use.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sphinx.application import Sphinx

MEDIA = "_media"
# A value of an attribute, whichever: src, data-src, href.
EMBEDDED = re.compile(r'(?<==")data:(?:audio|image)/([\w.-]+)(?:\+xml)?;base64,([^"]+)(?=")')
# What has the colour of the text around it, in both themes: a name, punctuation, a space.
PLAIN = re.compile(r'<span class="(?:n|p|w|pre)">([^<]*)</span>')
TWICE = re.compile(r'(href="#([\w.]+)") title="\2"')  # a title that says what the link says
# A label that hides what it labels, and a list whose items are entries of a bibliography.
SAID_BETTER = {
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<div role="list" class="citation-list">': '<div class="citation-list">',
}
SMALL = 1000  # characters that cost less in the page than another file
IMAGE = re.compile(r"<img\b[^>]*>")
AUDIO = re.compile(r"<audio\b[^>]*>")
VIEWPORT = re.compile(r'<meta name="viewport"[^>]*>')  # which the theme has said before
# How far 256 colours may be from the picture, in one channel of 255, on average.
NEAR = 1.5


def fewer_colours(png: bytes) -> bytes:
    """Return the picture with at most 256 colours, or as it is where that is not near or smaller.

    Raises OSError if ``png`` is no picture.
    """
    with Image.open(io.BytesIO(png)) as opened:
        if opened.mode == "P":
            return png
        picture = opened.convert("RGBA")
    opaque = picture.getextrema()[3][0] == 255
    picture = picture.convert("RGB") if opaque else picture
    method = Image.Quantize.MEDIANCUT if opaque else Image.Quantize.FASTOCTREE
    few = picture.quantize(256, method=method, dither=Image.Dither.NONE)
    apart = np.asarray(picture, dtype=int) - np.asarray(few.convert(picture.mode), dtype=int)
    file = io.BytesIO()
    few.save(file, format="PNG", optimize=True)
    near = np.abs(apart).mean() <= NEAR
    return file.getvalue() if near and file.tell() < len(png) else png


def move_out(body: str, folder: Path, address: str) -> str:
    """Write what ``body`` embeds into ``folder``, and return it naming those files.

    Args:
        address: of ``folder`` as seen from the page, such as ``_media``.
    """

    def file(match: re.Match[str]) -> str:
        suffix, text = match.groups()
        if len(text) < SMALL:
            return match[0]
        content = base64.b64decode(text)
        if suffix == "png":
            content = fewer_colours(content)
        name = f"{hashlib.sha256(content).hexdigest()[:20]}.{suffix}"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return f"{address}/{name}"

    return EMBEDDED.sub(file, body)


def with_attributes(tag: str, attributes: dict[str, object]) -> str:
    """Return the HTML tag with those of the attributes that it does not have."""
    new = "".join(
        f' {name}="{value}"'
        for name, value in attributes.items()
        if not re.search(rf"\s{name}\s*=", tag)
    )
    return re.sub(r"\s*/?>$", f"{new}>", tag)


def lazy(tag: str, files: dict[str, Path]) -> str:
    """Return the ``<img>`` tag such that it is loaded late and takes its place from the start.

    Args:
        files: where the pictures lie now, by name.
    """
    attributes: dict[str, object] = {"loading": "lazy", "decoding": "async"}
    found = re.search(r'\ssrc="([^"]+)"', tag)
    file = files.get(found[1].rsplit("/", 1)[-1]) if found else None
    if file is not None and file.suffix == ".png" and not re.search(r"\s(style|width)=", tag):
        with Image.open(file) as picture:
            attributes |= zip(("width", "height"), picture.size, strict=True)
    return with_attributes(tag, attributes)


def without(files: list[Any], unused: list[str]) -> list[Any]:
    """Return the scripts or styles that have none of the words in their name or text."""
    return [
        file
        for file in files
        if not any(word in f"{file.filename} {file.attributes}".lower() for word in unused)
    ]


def lighten(
    app: Sphinx,
    pagename: str,
    _template: str,
    context: dict[str, Any],
    _: Any,
) -> None:
    """Have a page hold its text alone, and load what it uses."""
    body = context.get("body", "")
    if body:
        media = Path(app.outdir) / MEDIA
        body = move_out(body, media, context["pathto"](MEDIA, True))
        body = PLAIN.sub(r"\1", PLAIN.sub(r"\1", body))  # one may hold another
        body = TWICE.sub(r"\1", body)
        for said, better in SAID_BETTER.items():
            body = body.replace(said, better)
        files = {name: Path(app.srcdir) / source for source, name in app.builder.images.items()}
        files |= {path.name: path for path in media.glob("*.png")}
        body = IMAGE.sub(lambda match: lazy(match[0], files), body)
        body = AUDIO.sub(
            lambda match: with_attributes(match[0], {"preload": "none"}),
            body,
        )
        context["body"] = body
    context["metatags"] = VIEWPORT.sub("", context.get("metatags", ""))
    unused = ["widget-state"]
    unused += ["mathjax"] if 'class="math' not in body else []
    unused += ["design-tabs", "sphinx-design"] if "sd-" not in body else []
    context["script_files"] = without(context["script_files"], unused)
    context["css_files"] = without(context["css_files"], unused)
    for button in context.get("header_buttons", []):
        for each in [button, *button.get("buttons", [])]:
            if each.get("icon") == "fab fa-github":  # a font for one sign
                each["icon"] = "fa-solid fa-code-branch"


def lighten_pictures(app: Sphinx, failed: Exception | None) -> None:
    """Take colours from the pictures that Sphinx has copied."""
    for path in (Path(app.outdir) / "_images").glob("*.png") if not failed else ():
        content = path.read_bytes()
        fewer = fewer_colours(content)
        if fewer != content:
            path.write_bytes(fewer)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", lighten, priority=900)  # after MathJax has been added
    app.connect("build-finished", lighten_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
