"""A rehearsal on the screen."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from connectors.tool.show import console

MOST = 40
"""Rows of a table; those that change come first."""
_HEADS = {"per_hour": "an hour", "peak_hour": "in the busiest hour", "peak_at": "which was"}
_NONE = {"peak_at": "-"}


def show(found: dict[str, Any]) -> None:
    """The sentence first, then what it is made of."""
    out = console()
    when = f", {found['from']} to {found['to']}" if found["from"] else ""
    out.print(f"[bold]{escape(found['summary'])}[/]", highlight=False, soft_wrap=True)
    out.print(f"{found['mentions']} mentions{when}; nothing was written, nobody was told.", highlight=False)
    before, after = found["before"], found["after"]
    for title, key, columns in (
        ("Routes", "routes", ("cases", "mentions")),
        ("Systems", "systems", ("records", "notes", "per_hour", "peak_hour", "peak_at")),
        ("Topics", "topics", ("notifications", "per_hour", "peak_hour", "peak_at")),
    ):
        _table(title, before[key] if before else None, after[key], columns)
    out.print("\n[bold]Cost[/]")
    for line in _cost(before["cost"] if before else None, after["cost"]):
        out.print(escape(f"  {line}"), highlight=False, soft_wrap=True)
    if found["changes"]:
        out.print("\n[bold]Other routes[/]")
    for one in found["changes"][:20]:
        line = f"  {one['mentions']} from {one['from']} to {one['to']}, such as {', '.join(one['examples'][:2])}"
        out.print(escape(line), highlight=False, soft_wrap=True)
    for note in found["notes"]:
        out.print(f"[dim]{escape(note)}[/]", highlight=False, soft_wrap=True)


def _table(title: str, before: dict[str, Any] | None, after: dict[str, Any], columns: tuple[str, ...]) -> None:
    rows = {}
    for name in dict.fromkeys([*after, *(before or {})]):
        cells = []
        for column in columns:
            now = after.get(name, {}).get(column) or _NONE.get(column, 0)
            was = (before.get(name, {}).get(column) or _NONE.get(column, 0)) if before is not None else now
            cells.append(str(now) if was == now else f"{was} → {now}")
        rows[name] = cells
    if not rows:
        return
    table = Table(title_justify="left", title=title)
    table.add_column("")
    for column in columns:
        table.add_column(_HEADS.get(column, column), justify="right")
    changed = [name for name, cells in rows.items() if any("→" in cell for cell in cells)]
    kept = set(list(dict.fromkeys([*changed, *rows]))[:MOST])
    for name in (one for one in rows if one in kept):
        table.add_row(escape(name), *rows[name], style="yellow" if name in changed else "")
    console().print(table, highlight=False)
    if len(rows) > len(kept):
        hidden = sum(name not in kept for name in changed)
        console().print(f"{len(rows) - len(kept)} more, {hidden} of them changed; --json has all", highlight=False)


def _cost(before: list[dict[str, Any]] | None, after: list[dict[str, Any]]) -> list[str]:
    """What one answer to each case costs now, and would then, by connector."""
    were, are = ({one["connector"]: one for one in found} for found in (before or [], after))
    said = []
    for name in sorted({*were, *are}):
        known = are.get(name) or were[name]
        then, was = (found[name]["amount"] if name in found else "0.00" for found in (are, were))
        now = f" (now {was})" if before is not None else ""
        said.append(f"{name}: {then} {known['currency']}{now} for {known['what']}, prices of {known['as_of']}")
    return said or ["nothing: no source of these cases has a price for answers"]
