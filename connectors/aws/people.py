"""People in the table: links between handles, and the open cases that a handle is known for.

HANDLE#<handle> / META                        `rev`, which every write of this partition counts up
HANDLE#<handle> / LINK#<digest of the other>  a link, written on both sides in one transaction; ended, never deleted
HANDLE#<handle> / CASE#<opened at>#<case>     a case that this handle opened, since it has links or is an identity

All go 400 days after they were last used. `forget` alone deletes; no function may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.aws.table import Item, Table
from connectors.core.case import Case
from connectors.core.errors import ConflictError
from connectors.core.identity import digest
from connectors.core.people import MOST, MOST_SAID, Evidence, Link, Person, person

KEPT_DAYS = 400
_DAY = 86_400
_ROWS, _LINKS = 150, 100
"""Of one handle: rows that are read, newest cases first after the links; and links, ended ones too."""
_TRIES = 8


class PeopleError(ValueError):
    """What somebody wants cannot be done; one sentence."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the table says of one handle. `rev`: None for one of which there is nothing. `cases`: newest first, with
    when they were opened."""

    handle: str
    rev: int | None = None
    links: tuple[Link, ...] = ()
    cases: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Circle:
    """A person, and what the table says of each handle."""

    person: Person
    known: dict[str, Known] = field(default_factory=dict)


class People:
    """Reads and writes people. `now` in milliseconds."""

    def __init__(self, table: Table, now: Callable[[], int]) -> None:
        self._table, self._now = table, now

    def known(self, handle: str) -> Known:
        """One handle, in one read."""
        rev, links, cases = None, [], []
        for row in self._table.query(_pk(handle), newest=True, limit=_ROWS):
            if row["type"] == "handle":
                rev = row["rev"]  # as long as it is there: what has expired stands in the way of another
            elif row["expires_at"] <= self._now() // 1000:
                continue  # DynamoDB takes a while until it removes what has expired
            elif row["type"] == "link":
                said = tuple(Evidence.model_validate(one) for one in row["evidence"])
                links.append(Link(handle, row["other"], said, row["expires_at"]))
            elif "case" in row:
                cases.append((row["opened_at"], row["case"]))
        return Known(handle, rev, tuple(links), tuple(cases))

    def circle(self, handle: str) -> Circle:
        """Whoever a handle belongs to: one read for each of their handles."""
        found: dict[str, Known] = {}

        def links(one: str) -> Sequence[Link]:
            found[one] = self.known(one)
            return found[one].links

        return Circle(person(handle, links, MOST), found)

    def because(self, handle: str, evidence: Sequence[str]) -> list[Evidence]:
        """Those of these pieces of evidence that are still kept, by one of the person's handles."""
        known, seen = [self.known(handle)], {handle}
        found: dict[str, Evidence] = {}
        while known and found.keys() < set(evidence) and len(seen) <= MOST:
            for link in known.pop(0).links:
                found |= {one.id: one for one in link.evidence if one.id in evidence}
                if link.other not in seen:  # ended ones too: it may have been ended since
                    seen.add(link.other)
                    known.append(self.known(link.other))
        return [found[name] for name in evidence if name in found]

    def link(self, one: str, other: str, *, by: str, because: str, reference: str | None = None) -> Evidence:
        """Say that two handles are one person's; the evidence, or that which stands where they are linked already.

        Raises PeopleError where it cannot be, ConflictError where others kept being faster."""
        if one == other:
            raise PeopleError("these are the same handle: nothing is to be linked")
        for _ in range(_TRIES):
            standing = self._link(one, other)
            if standing is not None and standing.live:
                return standing.evidence[-1]
            self._check_room(one, other)
            try:
                return self._say(one, other, standing, "linked", by, because, reference)
            except ConflictError:
                continue
        raise ConflictError(f"{_TRIES} others were faster with these handles")

    def unlink(self, one: str, other: str, *, by: str, because: str, reference: str | None = None) -> Evidence:
        """End a link. Raises PeopleError where there is none, ConflictError as `link`."""
        for _ in range(_TRIES):
            standing = self._link(one, other)
            if standing is None or not standing.evidence:
                raise PeopleError(f"{one} and {other} were never linked to each other; `hailback people show` says how")
            if not standing.live:
                return standing.evidence[-1]
            try:
                return self._say(one, other, standing, "ended", by, because, reference)
            except ConflictError:
                continue
        raise ConflictError(f"{_TRIES} others were faster with these handles")

    def forget(self, handle: str) -> int:
        """Delete all that is kept of a handle, on both sides of its links; how many links that were. For a person's
        credentials: no function may delete. Repeatable."""
        links = 0
        for row in list(self._table.query(_pk(handle), "LINK#")):
            there = _pk(row["other"])
            gone = [_deletion(self._table, _pk(handle), row["sk"]), _deletion(self._table, there, _sk(handle))]
            counted = self._table.update_action(there, "META", "ADD rev :one", {":one": 1}, "attribute_exists(pk)")
            try:
                self._table.transact([*gone, counted])
            except ConflictError:  # the other's row is gone already
                self._table.transact(gone)
            links += 1
        for row in list(self._table.query(_pk(handle))):
            self._table.transact([_deletion(self._table, row["pk"], row["sk"])])
        return links

    # ---- for whoever opens a case

    def guards(self, circle: Circle, but: str | None = None) -> list[Item]:
        """That nobody wrote of any of the person's handles since they were read, as parts of a transaction."""
        return [_unmoved(self._table, one) for one in circle.known.values() if one.handle != but]

    def opened(self, known: Known, case: str, now: int) -> list[Item]:
        """That this handle opened a case, as parts of a transaction; nobody wrote of it since it was read."""
        row = {**_case_key(known.handle, now, case), "type": "handle_case", "case": case, "opened_at": now}
        return [self._counted(known, now), self._table.put_action({**row, "expires_at": _until(now)})]

    def note(self, handle: str, cases: Sequence[Case]) -> None:
        """That a handle opened these cases before it had links."""
        for case in cases:
            now = self._now()
            row = {**_case_key(handle, case.opened_at, case.id), "type": "handle_case", "case": case.id}
            row |= {"opened_at": case.opened_at, "expires_at": _until(now)}
            self._table.transact([self._counted(self.known(handle), now), self._table.put_action(row)])

    def opened_by(self, handle: str, limit: int = 50) -> list[str]:
        """The cases that a handle's posts opened, as far as its newest `limit` posts tell; by the *author* index, which
        is a moment late."""
        found = self._table.query_index("author", "author_key = :a", {":a": handle}, newest=True, limit=limit)
        rows = self._table.get_many([(entry["pk"], entry["sk"]) for entry in found])
        mine = {row["pk"].removeprefix("MENTION#"): row.get("case") for row in rows if row.get("author_key") == handle}
        cases = self._table.get_many([(f"CASE#{case}", "META") for case in {*mine.values()} if case])
        return sorted(case["id"] for case in cases if case["first_mention"] in mine)

    def no_longer(self, handle: str, opened_at: int, case: str, now: int) -> list[Item]:
        """The post that opened a case is purged: that this handle wrote it goes too. Emptied, to expire at once."""
        key = _case_key(handle, opened_at, case)
        if self._table.get(key["pk"], key["sk"]) is None:
            return []
        return [self._table.put_action({**key, "type": "handle_case", "expires_at": now // 1000})]

    def used(self, way: Sequence[Link], now: int) -> None:
        """Links that were of use are kept longer; no harm where one is not."""
        for link in way:
            if link.expires_at >= _until(now) - _DAY:
                continue
            keys = [(_pk(one), sk) for one, other in _sides(link) for sk in (_sk(other), "META")]
            with suppress(ConflictError):  # it was forgotten meanwhile
                self._table.transact([self._later(pk, sk, now) for pk, sk in keys])

    # ---- within

    def _link(self, one: str, other: str) -> Link | None:
        row = self._table.get(_pk(one), _sk(other))
        if row is None or row["expires_at"] <= self._now() // 1000:
            return None
        return Link(one, other, tuple(Evidence.model_validate(said) for said in row["evidence"]), row["expires_at"])

    def _check_room(self, one: str, other: str) -> None:
        both = [self.circle(one), self.circle(other)]
        handles = {handle for circle in both for handle in circle.person.handles}
        if len(handles) > MOST or not all(circle.person.whole for circle in both):
            raise PeopleError(f"one person would have more than {MOST} handles; a number or account that many share?")
        for handle in (one, other):
            if any(len(circle.known[handle].links) >= _LINKS for circle in both if handle in circle.known):
                raise PeopleError(f"{handle} has had {_LINKS} links; a number or account that many share?")

    def _say(
        self, one: str, other: str, standing: Link | None, what: str, by: str, because: str, reference: str | None
    ) -> Evidence:
        """Write it on both sides, if nobody wrote of either handle since it was read."""
        now = self._now()
        name = digest(*sorted((one, other)), what, str(now), by)
        said = Evidence.model_validate(
            {"id": name, "what": what, "at": now, "by": by, "because": because, "reference": reference}
        )
        before = standing.evidence if standing else ()
        if len(before) >= MOST_SAID:
            raise PeopleError(f"this link was made and ended {MOST_SAID} times; `hailback people forget` begins anew")
        evidence = [known.model_dump(mode="json", exclude_none=True) for known in (*before, said)]
        knowns = [self.known(one), self.known(other)]
        if self._link(one, other) != standing:
            raise ConflictError("this link was written meanwhile")
        actions = [self._counted(known, now) for known in knowns]
        for here, there in ((one, other), (other, one)):
            row = {"pk": _pk(here), "sk": _sk(there), "type": "link", "other": there, "evidence": evidence}
            actions.append(self._table.put_action({**row, "expires_at": _until(now)}))
        self._table.transact(actions)
        return said

    def _later(self, pk: str, sk: str, now: int) -> Item:
        values = {":until": _until(now)}
        return self._table.update_action(pk, sk, "SET expires_at = :until", values, "attribute_exists(pk)")

    def _counted(self, known: Known, now: int) -> Item:
        row: Item = {"pk": _pk(known.handle), "sk": "META", "type": "handle", "rev": (known.rev or 0) + 1}
        return self._table.put_action({**row, "expires_at": _until(now)}, *_condition(known))


def _sides(link: Link) -> tuple[tuple[str, str], tuple[str, str]]:
    return (link.one, link.other), (link.other, link.one)


def _condition(known: Known) -> tuple[str, Item | None]:
    return ("attribute_not_exists(pk)", None) if known.rev is None else ("rev = :known", {":known": known.rev})


def _unmoved(table: Table, known: Known) -> Item:
    condition, values = _condition(known)
    return table.check_action(_pk(known.handle), "META", condition, values or {})


def _deletion(table: Table, pk: str, sk: str) -> Item:
    return {"Delete": {"TableName": table.name, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}}}


def _pk(handle: str) -> str:
    return f"HANDLE#{handle}"


def _sk(other: str) -> str:
    """A sort key takes no more than 1 KB, a handle may have two."""
    return f"LINK#{digest(other, length=32)}"


def _case_key(handle: str, opened_at: int, case: str) -> Item:
    return {"pk": _pk(handle), "sk": f"CASE#{opened_at:015d}#{case}"}


def _until(now: int) -> int:
    return now // 1000 + KEPT_DAYS * _DAY
