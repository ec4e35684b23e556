"""A plan's routes: how administrators write them, and every sentence that tells them what is wrong.

Ordered; the first route whose `When` fits takes a mention; the last has no `When` and takes what is left. Returns all
findings and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import get_args

from connectors.core.durations import seconds
from connectors.core.facts import FIELDS
from connectors.core.pattern import Pattern
from connectors.core.plan import PRIORITIES, Priority, Route, canonical
from connectors.core.plan_options import OPTIONS
from connectors.core.plan_reach import unreachable
from connectors.core.plan_reading import (
    SYSTEM_ID,
    Catalogue,
    Grants,
    closest,
    list_of,
    misspelt,
    short,
    stem_of,
    text_of,
    told_once,
    unfamiliar,
)
from connectors.core.plan_settings import Finding
from connectors.core.plan_when import check_when

LARGEST_PLAN = 200_000
"""Bytes of a plan written in the template. An update's request carries it twice, old and new."""
LONGEST_FAIL_OVER = 86_400
"""Seconds: whoever wants to wait longer than a day wants no stand-by."""
LONGEST_COALESCE = 3_600
"""Seconds: whoever works on a case wants to know within the hour what its customer said."""
MOST_LABELS = 10

ROUTE_FIELDS = (
    "Name",
    "When",
    "Case",
    "Notify",
    "FailOverAfter",
    "Labels",
    "Priority",
    "Coalesce",
    "Open",
)
PLAN_NOT_BUILT = {
    "Calendars": "Remove it.",
    "Chains": "Remove it; until then nothing is escalated.",
    "Policies": "Remove it; until then an agent's public reply in a record goes out to the customer as it is.",
}
_RECORDS = {"Lead": "leads", "Task": "tasks"}
ROUTE_NOT_BUILT = {
    "Escalate": "Remove it; until then nothing is escalated.",
    "Reply": "Remove it; until then an agent's public reply in a record goes out to the customer as it is.",
    **{name: f"Write Case; no registered system of record takes {what} yet." for name, what in _RECORDS.items()},
}
_CALLED = {
    **dict.fromkeys(("if", "match", "matches", "pattern", "filter", "where", "condition", "conditions"), "When"),
    **dict.fromkeys(("system", "systems", "record", "records", "tracker"), "Case"),
    **dict.fromkeys(("topic", "topics", "tell", "notification", "notifications", "alert"), "Notify"),
    **dict.fromkeys(("tag", "tags"), "Labels"),
    **dict.fromkeys(("timeout", "failafter", "fallbackafter"), "FailOverAfter"),
    **dict.fromkeys(("severity", "urgency"), "Priority"),
    **dict.fromkeys(("gather", "batch", "window", "debounce"), "Coalesce"),
    **dict.fromkeys(("chain", "chains", "escalation"), "Escalate"),
    **dict.fromkeys(("policy", "policies", "replypolicy"), "Reply"),
}
"""What people who know another tool write."""
_ASKED = frozenset(path.partition(".")[0] for path in (*FIELDS, "metrics.", "$or"))
"""What stands in a `When`."""
_OF_CASES = ("Case", "Notify", "FailOverAfter", "Priority", "Coalesce")
"""What means nothing for a route that only counts."""
_EXAMPLE = "Write one route with Name, Case and Notify."
_LISTED = f"Begin each with a hyphen. {_EXAMPLE}"
_DURATION = "Write a whole number with s, m, h or d, such as 90s or 2m."
_BOOLEANS = ("true", "false")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LABEL = re.compile(r"\w[\w-]{0,59}")
_TOPIC_ARN = re.compile(
    r"arn:aws[a-z0-9-]*:sns:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):(?P<name>[A-Za-z0-9_.-]{1,256})"
)


def check_plan(
    properties: Mapping[str, object], grants: Grants, sources: Catalogue | None = None
) -> tuple[tuple[Route, ...] | None, list[Finding]]:
    """A `Custom::Plan`, as far as its own text goes: that its systems, topics and sources exist is looked up later.

    Its options (`plan_options`) are read elsewhere; a plan with a `Priority` needs no catch-all. `sources`: the
    registered connectors, None where they are not known here. A plan from S3 has its routes in `Routes` as well."""
    findings: list[Finding] = []
    size = len(canonical(properties))
    if size > LARGEST_PLAN and "Definition" not in properties:
        sentence = f"the plan is {size} bytes, over the limit of {LARGEST_PLAN}."
        findings.append(Finding("Routes", sentence, "Shorten or remove routes, or put them into S3 (Definition)."))
    findings += unfamiliar(properties, ("Routes", *OPTIONS), PLAN_NOT_BUILT, "")
    given = properties.get("Routes")
    if given is None and "Definition" in properties:
        return (None, findings) if findings else ((), [])
    if given is None:
        findings = told_once([*findings, Finding("Routes", "is missing.", _EXAMPLE)])
    elif not isinstance(given, list) or not given:
        findings.append(Finding("Routes", "is not a list of routes.", _LISTED if given else _EXAMPLE))
    else:
        names = None if sources is None else tuple(sources.names)
        routes, more = check_routes(given, grants, names, beside="Priority" in properties)
        findings += more
        if not findings and routes is not None:
            return routes, []
    return None, findings


def check_routes(
    given: list[object], grants: Grants, connectors: Collection[str] | None, *, beside: bool
) -> tuple[tuple[Route, ...] | None, list[Finding]]:
    """The routes of a plan; of one that stands `beside` the one with the catch-all, if it has none itself."""
    findings: list[Finding] = []
    routes: list[Route] = []
    patterns: list[Pattern | None] = []
    asking = list(given)
    for index, one in enumerate(given):
        checked = _Checked(one, f"Routes[{index}]", grants, connectors)
        findings += checked.findings
        patterns.append(checked.pattern)
        if checked.unasked and isinstance(one, dict):
            asking[index] = {**one, "When": None}
        routes += [checked.route] if checked.route else []
    findings += _names(given)
    if not beside:
        findings += _catch_all(asking)
    findings += unreachable(asking, patterns)
    return (None, findings) if findings else (tuple(routes), [])


def topic_region(arn: str) -> str:
    """The region in a topic's ARN; '' for what is not one."""
    match = _TOPIC_ARN.fullmatch(arn)
    return match["region"] if match else ""


def _names(given: list[object]) -> list[Finding]:
    findings, seen = [], dict[str, int]()
    for index, one in enumerate(given):
        name = one.get("Name") if isinstance(one, dict) else None
        if isinstance(name, str) and seen.setdefault(name, index) != index:
            sentence = f"'{short(name)}' is the name of Routes[{seen[name]}] already."
            findings.append(Finding(f"Routes[{index}].Name", sentence, "Give each route a name of its own."))
    return findings


def _catch_all(given: list[object]) -> list[Finding]:
    if not isinstance(given[-1], dict) or "When" not in given[-1]:
        return []
    if any(isinstance(one, dict) and "When" not in one for one in given):
        return []  # it is there, but not the last: said as that
    sentence = "there is no catch-all: what no When fits would be lost."
    return [Finding("Routes", sentence, "Add a last route without When, such as everything-else.")]


class _Checked:
    """One route, as written: what is wrong with it, or what it says."""

    def __init__(self, given: object, path: str, grants: Grants, connectors: Collection[str] | None) -> None:
        self.path, self.grants = path, grants
        self.route: Route | None = None
        self.pattern: Pattern | None = None
        self.unasked = False
        """Whether it has a condition under a wrong name: then it is no catch-all."""
        self.findings: list[Finding] = []
        if not isinstance(given, dict):
            self._note("", "is not a route.", "Write Name, Case and Notify under it.")
            return
        self.given: Mapping[str, object] = given
        beside = [key for key in given if key in _ASKED]
        for key in beside:
            self._note(key, "is not a field of a route.", "Write it below When, further in.")
        rest = {key: value for key, value in given.items() if key not in beside}
        self.findings += unfamiliar(rest, ROUTE_FIELDS, ROUTE_NOT_BUILT, f"{path}.", envelope=(), meant=_CALLED)
        self.unasked = "When" not in given and (bool(beside) or misspelt(self.findings, path, "When"))
        name = self._name()
        opens = self._opens()
        when = self._when(connectors)
        systems = self._systems() if opens and self._asked_for("Case") else ()
        topics = self._topics() if opens and self._asked_for("Notify") else ()
        labels, priority = self._labels(), self._priority()
        wait = self._duration("FailOverAfter", "2m", LONGEST_FAIL_OVER, "a day", "Write 1d or less.")
        coalesce = self._duration("Coalesce", "0s", LONGEST_COALESCE, "an hour", "Write 1h or less.")
        self.findings = told_once(self.findings)
        if not self.findings and name is not None:
            self.route = Route(
                name=name,
                when=when,
                opens=opens,
                systems=systems,
                topics=topics,
                labels=labels,
                priority=priority,
                coalesce=coalesce,
                fail_over_after=wait,
            )

    def _note(self, field: str, sentence: str, remedy: str) -> None:
        self.findings.append(Finding(f"{self.path}.{field}" if field else self.path, sentence, remedy))

    def _name(self) -> str | None:
        hint = "Give the route a name, such as everything-else."
        name = text_of(self.given, "Name", f"{self.path}.", self.findings, hint)
        if name in {"true", "false"}:
            self._note("Name", f"arrived as '{name}'.", "YAML reads yes, no, on and off as that: quote it.")
        elif name is not None and not _NAME.fullmatch(name):
            self._note("Name", "is not a route's name.", "Use up to 64 letters, digits, hyphens and underscores.")
        return name

    def _asked_for(self, field: str) -> bool:
        """Whether the field has to be there: what `Open` may be meant to say does not make it missing."""
        instead = field == "Case" and any(name in self.given for name in _RECORDS)
        return field in self.given or (self.given.get("Open", "case") == "case" and not instead)

    def _opens(self) -> bool:
        given = self.given.get("Open", "case")
        if given not in ("case", "count"):
            near = closest(given, ("case", "count")) if isinstance(given, str) and given not in _BOOLEANS else None
            self._note(
                "Open", "is neither case nor count.", f"Did you mean {near}?" if near else "Write case or count."
            )
        if given != "count":
            return True
        for field in _OF_CASES:
            if field in self.given:
                what = "stands in a route that only counts, which opens no case and tells nobody."
                self._note(field, what, f"Remove {field}, or Open: count.")
        return False

    def _when(self, connectors: Collection[str] | None) -> dict[str, object] | None:
        if "When" not in self.given:
            return None
        when, self.pattern, findings = check_when(self.given["When"], f"{self.path}.When", connectors)
        self.findings += findings
        return when

    def _systems(self) -> tuple[str, ...]:
        systems = list_of(self.given, "Case", self.path, self.findings, "Case: [!Ref YourSystem]")
        for index, system in enumerate(systems):
            if not SYSTEM_ID.fullmatch(system):
                sentence = f"'{short(system)}' is not the id of a Custom::System."
                self._note(f"Case[{index}]", sentence, _by_name(system, "resource"))
        return tuple(systems)

    def _topics(self) -> tuple[str, ...]:
        topics = list_of(self.given, "Notify", self.path, self.findings, "Notify: [!Ref YourTopic]")
        for index, topic in enumerate(topics):
            self.findings += _check_topic(topic, f"{self.path}.Notify[{index}]", self.grants)
        return tuple(topics)

    def _labels(self) -> tuple[str, ...]:
        if "Labels" not in self.given:
            return ()
        labels = list_of(self.given, "Labels", self.path, self.findings, "Labels: [retention, vip]", MOST_LABELS)
        for index, label in enumerate(labels):
            if label in {"true", "false"}:
                remedy = "YAML reads yes, no, on and off as that: quote it."
                self._note(f"Labels[{index}]", f"arrived as '{label}'.", remedy)
            elif not _LABEL.fullmatch(label):
                remedy = "Use up to 60 letters, digits, hyphens and underscores, without blanks."
                self._note(f"Labels[{index}]", f"'{short(label)}' is not one word.", remedy)
        return tuple(labels)

    def _priority(self) -> Priority | None:
        given = self.given.get("Priority")
        if "Priority" not in self.given or given in PRIORITIES:
            return given if given in get_args(Priority) else None  # type: ignore[return-value]
        near = closest(given, PRIORITIES) if isinstance(given, str) else None
        what = f"'{short(given)}' is not a priority." if isinstance(given, str) else "is not a priority."
        self._note("Priority", what, f"Did you mean {near}?" if near else f"Write one of: {', '.join(PRIORITIES)}.")
        return None

    def _duration(self, field: str, default: str, longest: int, name: str, remedy: str) -> float:
        text = text_of(
            {field: default, **self.given}, field, f"{self.path}.", self.findings, "Write a time such as 90s."
        )
        wait = seconds(text) if text is not None else 0
        if wait is None:
            self._note(field, f"'{short(text or '')}' is not a length of time.", _DURATION)
            return 0.0
        if wait > longest:
            self._note(field, f"'{short(text or '')}' is longer than {name}.", remedy)
        return float(wait)


def _by_name(written: str, what: str) -> str:
    if "${" in written:
        return "Write !Sub before it: nothing fills it in otherwise."
    quoted = written.lstrip().startswith(("!Ref", "Ref "))
    return "Take the quotes off !Ref: in them it is a text." if quoted else f"Write !Ref and the {what}'s name."


def _check_topic(arn: str, path: str, grants: Grants) -> list[Finding]:
    match = _TOPIC_ARN.fullmatch(arn)
    if match is None:
        return [Finding(path, f"'{short(arn)}' is not the ARN of an SNS topic.", _by_name(arn, "topic"))]
    if match["name"].endswith(".fifo"):
        return [Finding(path, "a FIFO topic is not built yet.", "Use a standard topic.")]
    stem = stem_of(grants.topics_prefix)
    if not match["name"].startswith(stem):
        return [
            Finding(
                path,
                f"topic '{short(match['name'])}' is outside the names that Hailback was granted, {stem}*.",
                "Rename the topic, or deploy Hailback with another TopicsPrefix.",
            )
        ]
    return []
