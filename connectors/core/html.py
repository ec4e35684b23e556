"""HTML → plain text, for channels that send markup. Pure and standard library only.

Keeps what a person wrote: paragraphs, line breaks, lists, the text of links, emoji. Quoted words are marked with `> `,
as in an e-mail. Scripts, avatars and a picture's file details go; a link preview becomes its address.

Reads tags by itself: html.parser takes quadratic time on a page of unclosed ones, and strangers write these pages.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

_TAG = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9]*+)((?:[^"'<>]++|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(r"""(?<![\w-])([\w-]++)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++)""")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "ul",
        "ol",
        "table",
        "section",
        "article",
        "details",
        "summary",
        "figure",
        "dl",
        "pre",
        "blockquote",
        "aside",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    ]
)
_LINES = frozenset(["li", "tr", "dt", "dd", "hr"])
_SILENT = frozenset(["script", "style", "template", "noscript", "svg", "title"])
_ENDS = {name: re.compile(f"</{name}", re.IGNORECASE) for name in _SILENT}
_VOID = frozenset(["br", "hr", "img", "input", "wbr", "source", "track", "area", "col", "embed", "link", "meta"])
_MAX_OPEN = 100
"""Open elements that are kept track of; a forum's page has ten."""


def plain_text(markup: str) -> str:
    """The text that a reader would see. Never raises on broken markup; time grows with the length only."""
    page = _Page()
    position = 0
    while position < len(markup):
        start = markup.find("<", position)
        if start < 0:
            page.words(markup[position:])
            break
        page.words(markup[position:start])
        if markup.startswith("<!--", start):
            end = markup.find("-->", start + 4)
            position = len(markup) if end < 0 else end + 3
        elif tag := _TAG.match(markup, start):
            closing, name, rest = tag[1] == "/", tag[2].lower(), tag[3]
            position = tag.end()
            if closing:
                page.close(name)
            elif name in _SILENT:
                position = page.skip(name, markup, position)
            else:
                page.open(name, rest)
        else:
            page.words("<")
            position = start + 1
    return page.text()


class _Page:
    """What has been read so far: finished text, and the elements that are still open."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0
        self._open: list[tuple[str, Callable[[], None] | None]] = []
        self._hidden = 0
        self._verbatim = 0
        self._lists = 0
        self._starts_item = False
        self._unclosed: set[str] = set()

    def text(self) -> str:
        while self._open:
            self.close(self._open[-1][0])
        lines = [line.rstrip() for line in "".join(self._parts).split("\n")]
        return "\n".join(lines).strip("\n")

    def skip(self, name: str, markup: str, position: int) -> int:
        """Where the content of an element that is not shown ends; `position` itself where it never does."""
        end = None if name in self._unclosed else _ENDS[name].search(markup, position)
        if end is None:
            self._unclosed.add(name)
            return position
        return end.start()

    def words(self, markup: str) -> None:
        """Text between tags."""
        text = html.unescape(markup)
        if not self._verbatim:
            text = _SPACE.sub(" ", text)
            if self._breaks or not self._parts or self._parts[-1][-1:] in "\n ":
                text = text.removeprefix(" ")
        self._write(text)

    def open(self, name: str, rest: str) -> None:
        """An element begins."""
        if name == "br":
            self._breaks = min(self._breaks + 1, 2)
        elif name == "img":
            self._image(_attributes(rest))
        elif name in ("td", "th"):
            self._write("" if self._breaks or not self._parts else "\t")
        if name in _VOID or len(self._open) >= _MAX_OPEN:
            return
        self._break(2 if name in _BLOCKS else 1 if name in _LINES else 0)
        self._open.append((name, self._begin(name, rest)))

    def close(self, name: str) -> None:
        """An element ends, and with it those inside that were left open."""
        if not any(name == opened for opened, _ in self._open):
            return
        while self._open:
            opened, finish = self._open.pop()
            if finish:
                finish()
            self._break(2 if opened in _BLOCKS else 1 if opened in _LINES else 0)
            if opened == name:
                return

    def _begin(self, name: str, rest: str) -> Callable[[], None] | None:
        """What an element changes for the text inside; how to change it back."""
        classes = _attributes(rest).get("class", "").split() if name in ("aside", "div") else []
        if name == "blockquote" or (name == "aside" and "quote" in classes):
            return None if self._quoting() else self._quote()
        if "onebox" in classes or "meta" in classes:
            self._write(_attributes(rest).get("data-onebox-src", ""))
            self._hidden += 1
            return lambda: setattr(self, "_hidden", self._hidden - 1)
        if name == "pre":
            self._verbatim += 1
            return lambda: setattr(self, "_verbatim", self._verbatim - 1)
        if name in ("ul", "ol"):
            self._lists += 1
            return lambda: setattr(self, "_lists", self._lists - 1)
        if name == "li":
            self._write("  " * (self._lists - 1) + "- ")
            self._starts_item = True
        return None

    def _quoting(self) -> bool:
        return any(finish is not None and opened in ("blockquote", "aside") for opened, finish in self._open)

    def _quote(self) -> Callable[[], None]:
        before, breaks = self._parts, self._breaks
        self._parts, self._breaks = [], 0

        def finish() -> None:
            said = "".join(self._parts).strip("\n")
            self._parts, self._breaks = before, breaks
            self._write("\n".join(f"> {line}".rstrip() for line in said.split("\n")) if said else "")

        return finish

    def _image(self, attributes: dict[str, str]) -> None:
        if "avatar" not in attributes.get("class", "").split():
            self._write(attributes.get("alt", ""))

    def _break(self, lines: int) -> None:
        if lines and not self._starts_item:
            in_list = self._lists > 0 and lines == 2
            self._breaks = max(self._breaks, 1 if in_list else lines)

    def _write(self, text: str) -> None:
        if not text or self._hidden:
            return
        if self._parts and self._breaks:
            last = self._parts[-1]
            self._parts.append("\n" * (self._breaks - (len(last) - len(last.rstrip("\n")))))
        self._breaks = 0
        self._starts_item = False
        self._parts.append(text)


def _attributes(rest: str) -> dict[str, str]:
    return {name.lower(): html.unescape(value.strip("\"'")) for name, value in _ATTRIBUTE.findall(rest)}
