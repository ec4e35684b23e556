"""What a reader of a Slack message sees, as plain text. Pure.

https://docs.slack.dev/messaging/formatting-message-text/ https://docs.slack.dev/reference/block-kit/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors.core import reading
from connectors.core.reading import dig, listed

_MARK = re.compile(r"<([@#!]?)([^<>|]*+)(?:\|([^<>]*+))?>")
_PARTS = ("pretext", "title", "text", "fields", "fallback")


def words(said: object) -> str:
    """A message's text; where it has none, that of its blocks, else of its attachments."""
    plain = mrkdwn(dig(said, "text")) or _blocks(dig(said, "blocks"))
    return plain or "\n".join(filter(None, map(_attachment, listed(said, "attachments"))))


def mrkdwn(value: object) -> str:
    """Slack's markup as text: mentions by name or id, links by their label. Marks such as `*` stay."""
    plain = _MARK.sub(_marked, reading.text(value) or "")
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _marked(mark: re.Match[str]) -> str:
    kind, what, label = mark[1], mark[2], mark[3]
    if kind == "!":
        return label or "@" + what.removeprefix("subteam^")
    return f"{kind}{(label or what).removeprefix(kind)}" if kind else label or what


def _attachment(one: object) -> str:
    if found := _blocks(dig(one, "blocks")):
        return found
    parts = [_field(dig(one, name)) for name in _PARTS[:-1]]
    return "\n".join(filter(None, parts)) or mrkdwn(dig(one, "fallback"))


def _field(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(f"{mrkdwn(dig(one, 'title'))}: {mrkdwn(dig(one, 'value'))}" for one in value)
    return mrkdwn(value)


def _blocks(blocks: object) -> str:
    found = ("".join(_inside(block)) for block in blocks) if isinstance(blocks, list) else ()
    return "\n".join(filter(None, (one.strip("\n") for one in found)))


def _inside(node: object) -> Iterator[str]:
    """The words in a block and in what it is made of."""
    if isinstance(node, list):
        for one in node:
            yield from _inside(one)
        return
    if not isinstance(node, dict):
        return
    kind, text = reading.text(node.get("type")), node.get("text")
    if kind == "mrkdwn":
        yield mrkdwn(text)
    elif kind in {"user", "usergroup", "channel", "broadcast", "emoji"}:
        mark = {"channel": "#", "emoji": ":"}.get(kind, "@")
        name = next((reading.text(dig(node, one)) for one in (f"{kind}_id", "range", "name") if dig(node, one)), None)
        yield f"{mark}{name or ''}{':' if kind == 'emoji' else ''}"
    elif isinstance(text, str):
        yield reading.clean(text)
    elif kind == "link":
        yield reading.text(dig(node, "url")) or ""
    else:
        for name in ("text", "elements", "fields"):
            yield from _inside(dig(node, name))
        if kind in {"rich_text_section", "rich_text_quote", "rich_text_preformatted", "section", "context"}:
            yield "\n"
