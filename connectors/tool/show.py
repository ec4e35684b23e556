"""Cases on the screen. Takes the documents that `casework` makes; decides nothing but how they look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.tool.plain import many

_WIDE = 200
_ABOVE = frozenset({"skipped", "at", "joined", "evidence"})
"""Of an event's detail, what is shown in a section of its own, or beside it."""


def console() -> Console:
    """Standard output; not cut to 80 columns where it is a file or a pipe."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=_WIDE)


def show_cases(found: Sequence[dict[str, Any]], state: str) -> None:
    """One line a case."""
    out = console()
    if not found:
        out.print("Nothing was only counted." if state == "counted" else f"No case is {state}.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("case", "waits for", "record", "conversation", "route", "last event"):
        table.add_column(name, overflow="fold", no_wrap=name == "case")
    for one in found:
        said = [f"{item['what']}: {item['why']}" for item in [*one["waiting"], *one["refused"]]]
        waits = "; ".join([*said, *(["planned, not sent: Effects: off"] if one["unsent"] else [])])
        records = "\n".join(_record(record) + _standing(record) for record in one["records"])
        none = "none: only counted" if one["counted"] else "none yet"
        row = [one["id"], waits or "nothing", records or none, one["conversation"], one["route"] or "none yet"]
        table.add_row(*(escape(cell) for cell in [*row, one["last_event_at"]]), style="yellow" if waits else "")
    out.print(table, highlight=False)


def show_case(found: dict[str, Any]) -> None:
    """What waits first, then records, posts, effects, timeline."""
    out = console()
    plan = f"route {found['route']} of plan {found['plan_version']}" if found["route"] else "not routed yet"
    _say(out, f"[bold]{escape(found['id'])}[/]  {found['state']}, {escape(plan)}")
    _say(out, escape(f"{found['conversation']}, from source {found['source']}, opened {found['opened_at']}"))
    marks = [f"priority {found['priority']}"] if found["priority"] else []
    marks += [f"labels {', '.join(found['labels'])}"] if found["labels"] else []
    if marks:
        _say(out, escape("; ".join(marks)))
    if found["unanswered_since"]:
        _say(out, f"not answered since {found['unanswered_since']}")
    _waiting(out, found)
    _records(out, found)
    _routing(out, found["routing"])
    _section(out, "Shadows", [_shadow(one) for one in found["shadows"]])
    _section(out, "Fail-over", [f"{one['at']}  {one['what']} {_detail(one['detail'])}" for one in found["detours"]])
    _section(out, "Replies", [_reply(one) for one in found["replies"]])
    _section(out, "Joined", [line for one in found["joins"] for line in _join(one)])
    _heading(out, "Posts")
    for one in found["mentions"]:
        _post(out, one)
    _heading(out, "Effects")
    for one in found["effects"]:
        _effect(out, one)
    _heading(out, "Timeline")
    for one in found["timeline"]:
        detail = one["detail"].items()
        shown = {name: value for name, value in detail if name not in _ABOVE}
        shown = {"shadow": shown["shadow"], "route": shown["route"]} if "shadow" in shown else shown
        what = [one["what"], one["mention"] or "", _detail(shown)]
        _say(out, f"  {one['at']}  {escape(' '.join(part for part in what if part))}")


def _routing(out: Console, routing: Sequence[dict[str, Any]]) -> None:
    """Why the case is where it is."""
    lines: list[str] = []
    for one in routing:
        before = f" from {one['from']}" if one["from"] else ""
        plan = f" of plan {one['plan']}" if one["plan"] else ""
        counted = ", counted: no case" if one["counted"] else ""
        added = "".join(f", {name} {value}" for name, value in one["added"].items())
        lines.append(f"{one['at']}  {one['what']} by {one['route']}{plan}{before}{counted}{added}")
        lines += [f"  not {skipped}" for skipped in one["skipped"]]
    _section(out, "Routes", lines)


def _waiting(out: Console, found: dict[str, Any]) -> None:
    _heading(out, "Waiting")
    for one in found["waiting"]:
        _say(out, f"  [yellow]{escape(one['what'])}[/]: {escape(one['why'])}; looked at again {one['next_at'] or '-'}")
    for one in found["refused"]:
        _say(out, f"  [red]{escape(one['what'])} was refused for good[/]: {escape(one['why'])}")
    if found["unsent"]:
        what = escape(", ".join(dict.fromkeys(found["unsent"])))
        _say(out, f"  [yellow]planned, not sent: {what}[/]: effects were off (Effects: off in the base plan)")
        answers = (
            " (--answers for answers)" if any("answer" in one.split(" for ")[0] for one in found["unsent"]) else ""
        )
        command = f"hailback release {found['id']}{answers}"
        record = any(one.startswith("the record ") for one in found["unsent"])
        post = "; or the customer's next post opens it" if record else ""
        _say(out, escape(f"  once they are on: {command}{post}"))
    elif not found["waiting"] and not found["refused"]:
        counted = "nothing: its route only counts; a later post may open a case"
        _say(out, f"  {counted if found['counted'] else 'nothing; all that was planned is done'}")


def _records(out: Console, found: dict[str, Any]) -> None:
    _heading(out, "Records")
    none = "none: only counted" if found["counted"] else "none yet"
    _say(out, escape(f"  route: {', else '.join(found['systems']) or none}"))
    if len(found["engaged"]) > 1 or found["retired"]:
        retired = f"; handed back by {', '.join(found['retired'])}" if found["retired"] else ""
        _say(out, escape(f"  stands in {' and '.join(found['engaged'])}{retired}"))
    for one in found["records"]:
        _say(out, escape(f"  {one['system']}: {_record(one)}{_standing(one)}"))
        if one["unset"]:
            _say(out, f"    [yellow]not set: that system has {escape(one['unset'])}[/]")


def _section(out: Console, title: str, lines: Sequence[str]) -> None:
    if lines:
        _heading(out, title)
    for line in lines:
        _say(out, escape(f"  {line}"))


def _join(one: dict[str, Any]) -> list[str]:
    """Why a conversation of its own is part of the case."""
    why = "it is the same number" if one["by"] == "number" else "somebody linked who wrote them:"
    lines = [f"{one['at']}  {one['mention']} joined because {why}"]
    for said in one["evidence"]:
        told = f"{said['because']} ({said['by']})" if said["because"] else "evidence that is not kept any more"
        lines.append(f"  {told} {said['reference'] or ''} [{said['id']}]".replace("  [", " ["))
    return lines


def _shadow(one: dict[str, Any]) -> str:
    """What a plan whose effects are off would have done."""
    what = "counted it, no case" if one["counted"] else "taken it"
    would = "".join(f"; {name} {value}" for name, value in one["would"].items())
    instead = f" instead of {one['instead_of']}" if one["instead_of"] else ""
    return f"{one['at']}  {one['plan']} (Effects: off) would have {what}: route {one['route']}{instead}{would}"


def _reply(one: dict[str, Any]) -> str:
    ends = one["url"] or one["error"] or ""
    return f"{one['state']:<10} to {one['source']}  {one['done_at'] or ''}  {ends}".rstrip()


def _post(out: Console, one: dict[str, Any]) -> None:
    marks = [f"version {one['version']}"] if one["removed_at"] is None else [f"removed {one['removed_at']}"]
    marks += ["our own"] if one["own"] else []
    marks += [_intent(one["intent"], one["intent_sure"])] if one.get("intent") else []
    _say(out, escape(f"  {one['id']} ({', '.join(marks)}) {one['url'] or ''}"))
    for line in (one.get("text") or "").splitlines():
        _say(out, f"    [dim]{escape(line)}[/]")


def _intent(intent: str, sure: float) -> str:
    """What a post wants, as it was read."""
    if intent == "uncertain":
        return f"what it wants: not sure ({sure:.0%})"
    return f"reads as {intent.replace('_', ' ')}, {sure:.0%}"


def _effect(out: Console, one: dict[str, Any]) -> None:
    about = one["mention"] or (many(one["posts"], "post") if one["posts"] else "")
    ends = one["reference"] or one["error"] or (f"due {one['due_at']}" if one["due_at"] else "")
    attempts = many(one["attempts"], "attempt")
    line = f"  {one['state']:<10} {one['kind']:<6} {one['target']}  {about}  {attempts}  {ends}"
    _say(out, escape(line.rstrip()))


def _record(one: dict[str, Any]) -> str:
    return f"{one['id']} {one['url'] or ''}".strip()


def _standing(one: dict[str, Any]) -> str:
    """What this record is to its case."""
    if one["retired"]:
        return " (handed back, closed)"
    if one["provisional"] and not one["live"]:
        return " (provisional: the first system may have one)"
    return "" if one["live"] else " (not the live record)"


def _detail(detail: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in detail.items())


def _heading(out: Console, text: str) -> None:
    _say(out, f"\n[bold]{text}[/]")


def _say(out: Console, line: str) -> None:
    out.print(line, highlight=False, soft_wrap=True)
