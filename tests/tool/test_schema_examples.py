"""The schema for editors says the same as `hailback check`, on right templates and on wrong ones."""

from __future__ import annotations

import pytest
import yaml

from connectors.tool.catalogues import DEFAULTS
from connectors.tool.cfn_text import read
from connectors.tool.cfn_values import Around
from connectors.tool.checking import examine
from tests.tool.small_plan import PLAN
from tests.tool.test_schema_command import Editor, Long, faults

THANKS = """\
        - Name: thanks
          When: {text: [{prefix: Thanks}], source: [!Ref Forum]}
          Open: count
"""
WHEN = "{author: {followers: [{numeric: ['>', 1000]}]}}"


def when(w: str) -> str:
    return PLAN.replace(WHEN, w)


def route(line: str) -> str:
    return PLAN.replace("        - Name: loud\n", f"        - Name: loud\n          {line}\n")


def plan(line: str) -> str:
    return PLAN.replace("      Routes:\n", f"      {line}\n      Routes:\n")


def tracker(line: str) -> str:
    return PLAN.replace("BaseUrl: 'https://tracker.acme.com/',", f"BaseUrl: 'https://tracker.acme.com/', {line},")


RIGHT = {
    "hold": tracker("Hold: true"),
    "hold text": tracker("Hold: 'true'"),
    "poll": tracker("Poll: 90s"),
    "poll long": tracker("Poll: 1h30m"),
    "status list": tracker("StatusOpen: [a, b]"),
    "status one": tracker("StatusOpen: a"),
    "effects off": plan("Effects: off"),
    "effects 'off'": plan("Effects: 'off'"),
    "revision": plan("Revision: 3"),
    "labels": route("Labels: [a, b-c]"),
    "coalesce": route("Coalesce: 10m"),
    "failover": route("FailOverAfter: 90s"),
    "prio": route("Priority: urgent"),
    "own": when("{own: [false], text: [a]}"),
    "json": when("'{\"person\": [null]}'".replace("person", "language")),
    "or": when("{$or: [{kind: [post]}, {author: {$or: [{handle: [a]}, {name: [b]}]}}]}"),
    "number text": when("{author: {followers: ['5']}}"),
    "ab": when("{text: [{anything-but: {wildcard: ['*a*', '*b*']}}]}"),
    "suffix": when("{title: [{suffix: {equals-ignore-case: '?'}}]}"),
    "metrics": when("{metrics: {like_count: [{numeric: ['>=', 5, '<', 9]}]}}"),
    "metrics or": when("{metrics: {$or: [{a: [1]}, {b: [2]}]}}"),
    "created": when("{created_at: [{prefix: '2026-12'}]}"),
    "no": when("{language: ['no']}"),
    "known": when("{person: {known: [true]}}"),
    "known text": when("{person: {known: ['true']}}"),
    "if route": PLAN.replace(
        THANKS,
        "        - !If [Loud, {Name: thanks, When: {text: [a]}, Open: count}, !Ref 'AWS::NoValue']\n",
    ).replace("Resources:\n", "Conditions: {Loud: !Equals [!Ref Configure, '']}\nResources:\n", 1),
    "novalue": route("Labels: !If [Loud, [a], !Ref 'AWS::NoValue']").replace(
        "Resources:\n", "Conditions: {Loud: !Equals [!Ref Configure, '']}\nResources:\n", 1
    ),
    "sub": route("Priority: !Sub 'urgent'"),
    "token sub": PLAN.replace("ServiceToken: !Ref Configure", "ServiceToken: !ImportValue hailback-Configure"),
    "count labels": PLAN.replace("Open: count", "Open: count\n          Labels: [x]"),
}
WRONG = {
    "chains": plan("Chains: []"),
    "escalate": route("Escalate: x"),
    "sources": plan("Sources: everything"),
    "effects": plan("Effects: maybe"),
    "hold": tracker("Hold: maybe"),
    "prio": route("Priority: medium"),
    "numeric one": when("{author: {followers: [{numeric: [5]}]}}"),
    "numeric op": when("{author: {followers: [{numeric: ['=>', 5]}]}}"),
    "or one": when("{$or: [{kind: [post]}]}"),
    "or unknown": when("{$or: [{kinds: [post]}, {text: [a]}]}"),
    "or nested unknown": when("{author: {$or: [{handel: [a]}, {name: [b]}]}}"),
    "empty": when("{}"),
    "author text": when("{author: ada}"),
    "not list": when("{intent: complaint}"),
    "empty list": when("{intent: []}"),
    "kind": when("{kind: [comment]}"),
    "own": when("{own: [true]}"),
    "count case": PLAN.replace("Open: count", "Open: count\n          Case: [!Ref Tracker]"),
    "count priority": PLAN.replace("Open: count", "Open: count\n          Priority: low"),
    "no name": PLAN.replace("- Name: loud\n          When", "- When"),
    "name blank": PLAN.replace("Name: loud", "Name: so loud"),
    "labels 11": route("Labels: [a,b,c,d,e,f,g,h,i,j,k]"),
    "label blank": route("Labels: [so loud]"),
    "coalesce": route("Coalesce: 2 hours"),
    "token": PLAN.replace(
        "      ServiceToken: !Ref Configure\n      ServiceTimeout: 120\n      Routes",
        "      ServiceTimeout: 120\n      Routes",
    ),
    "notify 6": PLAN.replace(
        "Notify: [!Ref Care]", "Notify: [!Ref Care, !Ref Care, !Ref Care, !Ref Care, !Ref Care, !Ref Care]"
    ),
    "contains": when("{text: [{contains: a}]}"),
    "two ops": when("{text: [{prefix: a, suffix: b}]}"),
    "type": PLAN.replace("Custom::Source", "Custom::Sources"),
    "route": plan("Route: x"),
    "wildcard list": when("{text: [{wildcard: ['a*']}]}"),
    "prefix obj": when("{text: [{prefix: {ignore-case: a}}]}"),
    "anything-but op": when("{text: [{anything-but: {contains: a}}]}"),
    "exists": when("{author: {followers: [{exists: maybe}]}}"),
    "time": when("{time: [x]}"),
    "timeout": PLAN.replace("ServiceTimeout: 120", "ServiceTimeout: 99999"),
    "conn": PLAN.replace("Connector: roundup", "Connector: roundp"),
    "lead": route("Lead: [!Ref Tracker]"),
    "catchall when": PLAN.replace("- Name: everything-else", "- Name: everything-else\n          Whenn: {text: [a]}"),
}


def checked(text: str) -> list[str]:
    return [str(one) for one in examine(read(text.encode()), Around(), DEFAULTS).findings]


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_not_underlined(name: str) -> None:
    assert RIGHT[name] != PLAN
    assert checked(RIGHT[name]) == []
    for loader in (Editor, Long):
        assert list(faults(yaml.load(RIGHT[name], Loader=loader))) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_underlined(name: str) -> None:
    assert WRONG[name] != PLAN
    assert checked(WRONG[name])
    assert list(faults(yaml.load(WRONG[name], Loader=Editor)))
