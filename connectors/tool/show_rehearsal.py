"""A rehearsal on the screen."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from connectors.tool.show import console


def show(found: dict[str, Any]) -> None:
    """The sentence first, then what it is made of."""
    out = console()
    when = f", {found['from']} to {found['to']}" if found["from"] else ""
    out.print(f"[bold]{escape(found['summary'])}[/]", highlight=False, soft_wrap=True)
    out.print(f"{found['mentions']} mentions{when}; nothing was written, nobody was told.", highlight=False)
    before, after = found["before"], found["after"]
    for title, key, columns in (
        ("Routes", "routes", ("cases", "mentions")),
        ("Systems", "systems", ("records", "notes", "peak_hour")),
        ("Topics", "topics", ("notifications", "peak_hour")),
    ):
        _table(title, before[key] if before else None, after[key], columns)
    for one in after["cost"]:
        was = next((old for old in (before or {}).get("cost", []) if old["connector"] == one["connector"]), None)
        then = f" (now {was['amount']})" if was else ""
        line = (
            f"{one['connector']}: {one['amount']} {one['currency']}{then} for {one['what']}, prices of {one['as_of']}"
        )
        out.print(escape(line), highlight=False, soft_wrap=True)
    if found["changes"]:
        out.print("\n[bold]Other routes[/]")
    for one in found["changes"][:20]:
        line = f"  {one['mentions']} from {one['from']} to {one['to']}, such as {', '.join(one['examples'][:2])}"
        out.print(escape(line), highlight=False, soft_wrap=True)
    for note in found["notes"]:
        out.print(f"[dim]{escape(note)}[/]", highlight=False, soft_wrap=True)


def _table(title: str, before: dict[str, Any] | None, after: dict[str, Any], columns: tuple[str, ...]) -> None:
    names = dict.fromkeys([*after, *(before or {})])
    if not names:
        return
    table = Table(title_justify="left", title=title)
    table.add_column("")
    for column in columns:
        table.add_column(column.replace("peak_hour", "in the busiest hour"), justify="right")
    for name in names:
        cells = []
        for column in columns:
            now = after.get(name, {}).get(column, 0)
            was = before.get(name, {}).get(column, 0) if before is not None else now
            cells.append(str(now) if was == now else f"{was} → {now}")
        table.add_row(escape(name), *cells, style="yellow" if any("→" in cell for cell in cells) else "")
    console().print(table, highlight=False)
