"""The stand-in that the tool runs: it starts, keeps what it answered through a kill, and sends signed webhooks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from connectors.core import door
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import UnavailableError, UnknownOutcomeError
from connectors.core.models import RecordUpdate
from connectors.core.ports import NoteDraft
from connectors.tool import roundup, zendesk
from connectors.zendesk.connector import Zendesk
from connectors.zendesk.settings import ZendeskSystem
from tests.zendesk.standin import CASE, TOKEN, connect_to

KEY, OTHER = "hailback-" + "a" * 24, "hailback-" + "b" * 24
SECRET = "signed-with-this"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[zendesk.RunningZendesk]:
    started = zendesk.start(tmp_path / "home", 0, TOKEN)
    yield started
    started.stop()


class Door:
    """Takes webhooks in; `answers` are the statuses that it gives, then 200."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = door.answers.pop(0) if door.answers else 200
                if status == 200:
                    door.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/zendesk/token"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def taking() -> Iterator[Door]:
    taking = Door()
    yield taking
    taking.stop()


def wait_for(condition: Callable[[], bool], within: float = 20) -> None:
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.02)


def test_state_survives_a_kill(tmp_path):
    first = zendesk.start(tmp_path / "home", 0, TOKEN)
    system = connect_to(first.base_url)
    permit = system.reserve("record")
    reference = system.upsert(CASE, KEY, permit)
    note = system.add_note(reference, NoteDraft("Hello"), OTHER, None)
    first.kill()
    with pytest.raises(UnavailableError):
        system.find(KEY)
    with (tmp_path / "home" / "journal.jsonl").open("ab") as journal:
        journal.write(b'[["ticket", "99')  # a line that the kill cut
    again = zendesk.start(tmp_path / "home", int(first.base_url.rpartition(":")[2]), TOKEN)
    try:
        assert again.base_url == first.base_url
        assert system.find(KEY) == reference == system.upsert(CASE, KEY, permit)
        assert system.find_note(reference, OTHER) == note
        assert [len(ticket["comments"]) for ticket in again.state()["tickets"]] == [2]
        assert system.upsert(CASE, OTHER, None) != reference
    finally:
        again.stop()
    assert zendesk.start(tmp_path / "home", 0, TOKEN).stop() is None  # the journal is whole


def test_the_page_shows_what_was_written_and_runs_none_of_it(running):
    system = connect_to(running.base_url)
    reference = system.upsert(CASE, KEY, None)
    system.add_note(reference, NoteDraft("<script>alert(1)</script>"), OTHER, None)
    for url in (reference.url, running.base_url):
        with urllib.request.urlopen(url) as answer:
            page = answer.read().decode()
        assert "Parcel lost" in page
        assert "<script>" not in page


@pytest.mark.parametrize("fault", ["drop", "timeout", "500 after commit"])
def test_an_answer_lost_on_the_wire_is_found(running, fault):
    system = connect_to(running.base_url, read=0.3)
    running.faults(script=[fault])
    with pytest.raises(UnknownOutcomeError):
        system.upsert(CASE, KEY, system.reserve("record"))
    assert system.find(KEY) == system.upsert(CASE, KEY, system.reserve("record"))
    assert len(running.state()["tickets"]) == 1


def test_an_account_that_is_down_comes_back(running):
    system = connect_to(running.base_url)
    running.faults(down=True)
    with pytest.raises(UnknownOutcomeError):
        system.upsert(CASE, KEY, system.reserve("record"))
    running.faults()
    assert system.find(KEY) is None


def test_webhooks_are_signed_retried_and_tell_people_from_us(running, taking):
    taking.answers = [503, 429]
    running.webhook(taking.url, SECRET)
    system = connect_to(running.base_url)
    reference = system.upsert(CASE, KEY, None)
    system.add_note(reference, NoteDraft("Where is it?"), OTHER, None)
    running.answer(reference.id, "On its way.", status="pending")
    system.set_status(reference, "solved")
    wait_for(lambda: len(taking.came) == 6)
    wait_for(lambda: running.state()["waiting"] == 0)
    rule = door.load("zendesk") or {}
    reader = Zendesk(ZendeskSystem(BaseUrl=running.base_url, Account=zendesk.ACCOUNT))
    events = []
    for headers, body in taking.came:
        assert door.verify(rule, Request("POST", headers, body), [SECRET])
        assert not door.verify(rule, Request("POST", headers, body), ["another"])
        events += reader.parse(Delivery(headers=door.kept_headers(rule, headers), body=body))
    updates = [event for event in events if isinstance(event, RecordUpdate)]
    assert [(update.kind, update.own, update.status) for update in updates] == [
        ("note", True, None),
        ("note", True, None),
        ("reply", False, None),
        ("status", False, "pending"),
        ("status", True, "solved"),
    ]
    assert {update.reference for update in updates} == {reference.id}
    assert (updates[2].text, updates[2].author.name) == ("On its way.", "Mia")


def test_webhooks_that_nobody_took_are_kept_through_a_kill(tmp_path, taking):
    first = zendesk.start(tmp_path / "home", 0, TOKEN)
    taking.answers = [503] * 2
    first.webhook(taking.url, SECRET)
    reference = connect_to(first.base_url).upsert(CASE, KEY, None)
    first.kill()
    again = zendesk.start(tmp_path / "home", 0, TOKEN)
    try:
        wait_for(lambda: len(taking.came) >= 2)
        kinds = [json.loads(body)["type"] for _, body in taking.came]
        assert kinds[-1] == "zen:event-type:ticket.comment_added"
        assert json.loads(taking.came[-1][1])["detail"]["id"] == reference.id
    finally:
        again.stop()


def test_controls_want_the_credentials(running):
    with pytest.raises(zendesk.ZendeskError, match="401"):
        running.call("GET", "/control/state", email="stranger@acme.example")
    with pytest.raises(zendesk.ZendeskError, match="400"):
        running.faults(rates={"flood": 1.0})


def test_a_port_that_is_taken_is_named(running, tmp_path):
    port = int(running.base_url.rpartition(":")[2])
    with pytest.raises(zendesk.ZendeskError, match=f"port {port} .* cannot be taken"):
        zendesk.start(tmp_path / "other", port, TOKEN)


def test_it_ends_with_a_parent_that_was_killed(tmp_path):
    parent = (
        "import os; from pathlib import Path; from connectors.tool import zendesk\n"
        f"t = zendesk.start(Path({str(tmp_path / 'home')!r}), 0, 'word')\n"
        "print(t.base_url, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("http://127.0.0.1:")
    assert roundup.gone(done.stdout.strip(), within=10)
