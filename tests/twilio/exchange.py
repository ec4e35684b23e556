"""A Twilio account that keeps state: messages, calls, transcriptions, conversations. As its API's reference has it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from connectors.http import HttpClient
from connectors.twilio.account import TwilioAccount, TwilioCredentials
from connectors.twilio.connector import TwilioSource
from tests.standin import Answer, Call, serving
from tests.twilio.contract import ACCOUNT, OURS

INES = "+491701234567"
ROOT = f"/2010-04-01/Accounts/{ACCOUNT}"
_LISTS = {"Messages": "messages", "Calls": "calls", "Transcriptions": "transcriptions"}


@dataclass
class Exchange:
    """`lost`: how many writes are carried out without an answer. `page`: things on a page."""

    clock: float = 1_795_000_000.0
    things: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in _LISTS.values()})
    recordings: dict[str, str] = field(default_factory=dict)
    talks: list[dict[str, Any]] = field(default_factory=list)
    opted_out: set[str] = field(default_factory=set)
    lost: int = 0
    secret: str = "s3"
    page: int = 2
    address: str = ""
    calls: list[Call] = field(default_factory=list)

    @contextmanager
    def serve(self) -> Iterator[None]:
        with serving(self._answer) as self.address:
            yield

    def account(self, **more: Any) -> TwilioAccount:
        settings = TwilioSource(account_sid=ACCOUNT, account=(OURS,), api_url=self.address, **more)
        credentials = TwilioCredentials.model_validate({"api_key": "SK1", "api_secret": "s3"})
        return TwilioAccount(settings, credentials, HttpClient(allow_private=True, total=5))

    def text(self, body: str, sender: str = INES, to: str = OURS, **more: Any) -> dict[str, Any]:
        direction = "outbound-api" if sender == OURS else "inbound"
        status = "delivered" if sender == OURS else "received"
        said = {"body": body, "from": sender, "to": to, "direction": direction, "status": status, "num_media": "0"}
        return self._made("messages", "SM", {**said, "date_sent": self._now(), **more})

    def call(self, sender: str = INES, status: str = "completed", **more: Any) -> dict[str, Any]:
        said = {"from": sender, "to": OURS, "direction": "inbound", "status": status, "duration": "40"}
        return self._made("calls", "CA", {**said, "start_time": self._now(), "parent_call_sid": None, **more})

    def voicemail(self, call: dict[str, Any], text: str) -> dict[str, Any]:
        recording = f"RE{len(self.recordings):032x}"
        self.recordings[recording] = call["sid"]
        said = {"recording_sid": recording, "transcription_text": text, "status": "completed", "duration": "12"}
        return self._made("transcriptions", "TR", said)

    def _made(self, name: str, prefix: str, said: dict[str, Any]) -> dict[str, Any]:
        sid = f"{prefix}{len(self.things[name]) + 1:032x}"
        made = {"sid": sid, "account_sid": ACCOUNT, "date_created": self._now(), **said}
        self.things[name].insert(0, made)
        self.clock += 1
        return made

    def _now(self) -> str:
        return format_datetime(datetime.fromtimestamp(self.clock, UTC))

    def _answer(self, call: Call) -> Answer:
        self.calls.append(call)
        if call.headers.get("authorization") != f"Basic {b64encode(f'SK1:{self.secret}'.encode()).decode()}":
            return 401, {"code": 20003, "message": "Authenticate", "status": 401}, {}
        if call.path.startswith("/v1/Conversations/"):
            return self._talk(call)
        name = call.path.removeprefix(f"{ROOT}/").removesuffix(".json")
        if call.method == "POST" and name == "Messages":
            return self._sent(call.form())
        if name in _LISTS:
            return self._listed(name, call)
        kind, _, sid = name.partition("/")
        if kind == "Recordings" and sid in self.recordings:
            return 200, {"sid": sid, "call_sid": self.recordings[sid]}, {}
        found = next((one for one in self.things.get(kind.lower(), []) if one["sid"] == sid), None)
        return (200, found, {}) if found else (404, {"code": 20404, "status": 404}, {})

    def _sent(self, form: dict[str, str]) -> Answer:
        assert set(form) == {"From", "To", "Body"}
        if form["To"] in self.opted_out:
            return 400, {"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}, {}
        made = self.text(form["Body"], form["From"], form["To"])
        return (201, made, {}) if not self._loses() else (201, None, {})

    def _listed(self, name: str, call: Call) -> Answer:
        rows = self.things[_LISTS[name]]
        for filtered in ("From", "To"):
            rows = [
                one for one in rows if call.query.get(filtered, one.get(filtered.lower())) == one.get(filtered.lower())
            ]
        start = int(call.query.get("Page", "0")) * self.page
        after = f"{ROOT}/{name}.json?PageSize=50&Page={start // self.page + 1}&PageToken=PA{name}"
        more = after if start + self.page < len(rows) else None
        return 200, {_LISTS[name]: rows[start : start + self.page], "next_page_uri": more}, {}

    def _talk(self, call: Call) -> Answer:
        if call.method == "POST":
            form = call.form()
            sid = f"IM{len(self.talks) + 100:032x}"
            self.talks.insert(
                0, {"sid": sid, "body": form["Body"], "attributes": form["Attributes"], "author": "system"}
            )
            return (201, self.talks[0], {}) if not self._loses() else (201, None, {})
        return 200, {"messages": self.talks, "meta": {"page": 0}}, {}

    def _loses(self) -> bool:
        self.lost -= 1
        return self.lost >= 0
