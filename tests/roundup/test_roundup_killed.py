"""A tracker that is killed again and again while workers write: nothing lost, nothing twice."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from connectors.core.errors import RemoteError, SpentPermitError, UnavailableError, UnknownOutcomeError
from connectors.core.ports import CaseDraft, NoteDraft, Reference
from connectors.roundup.connector import Roundup
from connectors.tool import roundup
from tests.roundup.tracker import PASSWORD, connect_to

CASES, NOTES, KILLS = 6, 3, 4


def test_each_case_and_note_is_there_once(python: Path, tmp_path, draft):
    tracker = roundup.start(python, tmp_path / "home", 0, PASSWORD)
    port = int(tracker.base_url.split(":")[2].split("/")[0])
    system = connect_to(tracker.base_url)
    try:
        with ThreadPoolExecutor(CASES) as pool:
            working = [pool.submit(_work, system, draft, number) for number in range(CASES)]
            for _ in range(KILLS):
                time.sleep(0.15)  # not a wait for anything: a moment to be killed in
                tracker.kill()
                tracker = roundup.start(python, tmp_path / "home", port, PASSWORD)
            references = [done.result(timeout=60) for done in working]
        rows = system._data(system._call("GET", "rest/data/issue?@fields=external_id,messages&@verbose=0"))[
            "collection"
        ]
        notes = system._data(system._call("GET", "rest/data/msg?@fields=external_id"))["collection"]
    finally:
        tracker.stop()
    assert Counter(row["external_id"] for row in rows) == Counter(f"case-{n}" for n in range(CASES))
    wanted = [f"case-{n}-note-{m}" for n in range(CASES) for m in range(NOTES)]
    assert sorted(note["external_id"] for note in notes) == sorted(wanted)
    attached = Counter(message for row in rows for message in row["messages"])
    assert attached == Counter(note["id"] for note in notes)
    assert {reference.id for reference in references} == {f"issue{row['id']}" for row in rows}


def _listed(system: Roundup, query: str) -> list[dict[str, Any]]:
    return list(system._data(system._call("GET", f"rest/data/{query}"))["collection"])


def _work(system: Roundup, draft: CaseDraft, number: int) -> Reference:
    key = f"case-{number}"
    reference = _once(
        system,
        "record",
        lambda permit: system.upsert(draft, key, permit),
        lambda: system.find(key),
    )
    assert isinstance(reference, Reference)
    for note in range(NOTES):
        name = f"{key}-note-{note}"
        _once(
            system,
            "note",
            lambda permit, name=name: system.add_note(reference, NoteDraft(name), name, permit),
            lambda name=name: system.find_note(reference, name),
        )
    return reference


def _once(system: Roundup, kind: str, write, look_up) -> object:
    """What the ledger does: keep the permit, look up after an unknown outcome, and only then write again."""
    permit, unknown, until = None, False, time.monotonic() + 50
    while time.monotonic() < until:
        try:
            found = look_up() if unknown else None
            if found is not None:
                return found
            permit = permit or system.reserve(kind)
            unknown = False
            return write(permit)
        except UnknownOutcomeError as error:
            unknown = True
            permit = None if isinstance(error, SpentPermitError) else permit
        except UnavailableError:
            time.sleep(0.05)
        except RemoteError as error:
            raise AssertionError(f"{kind}: {error}") from error
    raise AssertionError(f"{kind}: not done in time")
