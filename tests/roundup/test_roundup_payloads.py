"""What is sent to Roundup and how its words are read, without a tracker."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from connectors import system
from connectors.core.errors import MisconfiguredError, RejectedError, RemoteError, UnavailableError, UnknownOutcomeError
from connectors.core.ports import CaseDraft, NoteDraft, Reference
from connectors.http import Response
from connectors.roundup import payloads
from connectors.roundup.connector import Roundup
from connectors.roundup.settings import RoundupCredentials, RoundupSystem

CASE = CaseDraft(case="case-1", title="Lost", opened_at="", conversation="x:1")
PERMIT = "rest/data/issue/@poe/abc"
EMPTY = {"data": {"collection": []}}


class Scripted:
    """Stands for the HTTP client: one prepared answer or error per request."""

    def __init__(self, *script: Response | RemoteError) -> None:
        self.script = list(script)
        self.sent: list[tuple[str, str]] = []
        self.bodies: list[Any] = []

    def request(self, method: str, url: str, **options: Any) -> Response:
        self.sent.append((method, url))
        self.bodies.append(options.get("json"))
        step = self.script.pop(0)
        if isinstance(step, RemoteError):
            raise step
        return Response(step.status, step.headers, step.body, "tracker.example", options.get("safe", method == "GET"))


def answer(status: int, body: object, kind: str = "application/json") -> Response:
    return Response(status, {"content-type": kind}, (body if isinstance(body, str) else json.dumps(body)).encode())


def connected(*script: Response | RemoteError) -> tuple[Roundup, Scripted]:
    http = Scripted(*script)
    settings = RoundupSystem(BaseUrl="https://tracker.example/support")
    credentials = RoundupCredentials(username="hailback", password=SecretStr("hush"))
    return Roundup(settings, credentials, http), http  # type: ignore[arg-type]


def refusal(words: str) -> Response:
    return answer(400, {"error": {"status": 400, "msg": words}})


def test_the_registry_knows_it():
    assert system("roundup") is Roundup


@pytest.mark.parametrize("url", ["https://t.example/a", "https://t.example/a/", " https://t.example/a// "])
def test_a_base_url_gets_one_slash_at_its_end(url):
    assert RoundupSystem(BaseUrl=url).base_url == "https://t.example/a/"


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"BaseUrl": "t.example"}, "not a web address"),
        ({"BaseUrl": "ftp://t.example/"}, "not a web address"),
        ({"BaseUrl": "https://me:word@t.example/"}, "belong in the secret"),
        ({"BaseUrl": "https://t.example/?x=1"}, "leave out"),
        ({"BaseUrl": "https://t.example/a/rest"}, "leave out /rest"),
        ({"BaseUrl": "https://t.example:port/"}, "not a URL"),
        ({"BaseUrl": "https://t.example/", "Priority": " "}, "leave the field out"),
        ({"BaseUrl": "https://t.example/", "Colour": "red"}, "Colour"),
        ({}, "BaseUrl"),
    ],
)
def test_settings_that_are_refused(fields, hint):
    with pytest.raises(ValidationError, match=hint):
        RoundupSystem(**fields)


def test_the_password_does_not_show():
    credentials = RoundupCredentials.model_validate_json('{"username": "a", "password": "hush"}')
    assert "hush" not in repr(credentials)
    assert "hush" not in repr(connected()[0].__dict__["_settings"])


def test_titles_are_one_line_and_bounded():
    assert payloads.title(" a\r\n b\t c\u2028d ") == "a b c d"
    assert payloads.title("\x00 \n") == "(no title)"
    assert payloads.title("x" * payloads.TITLE_LENGTH) == "x" * payloads.TITLE_LENGTH
    assert payloads.title("x" * 300).endswith("…")


@pytest.mark.parametrize(
    "step",
    [UnknownOutcomeError("gone"), answer(201, "<html>", "text/html"), answer(201, {"data": {}}), answer(200, [])],
)
def test_a_create_without_a_usable_answer_is_unknown(step):
    roundup, _ = connected(step)
    with pytest.raises(UnknownOutcomeError):
        roundup.upsert(CASE, "k", PERMIT)


def test_a_failure_inside_roundup_is_looked_up_before_it_is_unknown():
    inside = refusal("Sat Jan 1 2026: An error occurred. Please check the server log for more information.")
    there = answer(200, {"data": {"collection": [{"id": "9", "external_id": "k"}]}})
    roundup, _ = connected(inside, there)
    assert roundup.upsert(CASE, "k", PERMIT) == Reference("issue9", "https://tracker.example/support/issue9")
    roundup, http = connected(inside, *[answer(200, {"data": {"collection": []}})] * 4)
    with pytest.raises(UnknownOutcomeError):
        roundup.upsert(CASE, "k", PERMIT)
    assert [method for method, _ in http.sent] == ["POST", "GET", "GET", "GET", "GET"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("Property external_id not found in class issue", MisconfiguredError),
        ("Required Header Missing", MisconfiguredError),
        ("Client is not allowed to use Rest Interface.", MisconfiguredError),
        ("Invalid Origin https://x.example", MisconfiguredError),
        ("some other reason, quoting A CUSTOMER", RejectedError),
    ],
)
def test_what_a_refusal_means(words, error):
    roundup, _ = connected(refusal(words))
    with pytest.raises(error) as raised:
        roundup.upsert(CASE, "k", PERMIT)
    assert "CUSTOMER" not in str(raised.value)
    assert "tracker.example" in str(raised.value)


def test_a_server_that_ignores_the_filter_does_not_lend_us_its_items():
    others = [{"id": str(n), "external_id": f"other-{n}"} for n in range(3)]
    roundup, _ = connected(answer(200, {"data": {"collection": others}}))
    assert roundup.find("k") is None


def test_the_oldest_of_several_is_the_one():
    rows = [{"id": "10", "external_id": "k"}, {"id": "9", "external_id": "k"}]
    roundup, _ = connected(answer(200, {"data": {"collection": rows}}))
    found = roundup.find("k")
    assert found is not None
    assert found.id == "issue9"
    roundup, _ = connected(answer(200, {"data": {"collection": rows}}))
    assert [one.id for one in roundup.find_all("k")] == ["issue9", "issue10"]


def test_a_note_written_but_not_attached_is_unknown_so_that_nobody_writes_it_again():
    created = answer(201, {"data": {"id": "5"}})
    listed = answer(200, {"data": {"collection": [{"id": "5", "external_id": "k"}]}})
    roundup, _ = connected(created, listed, UnavailableError("refused"))
    with pytest.raises(UnknownOutcomeError, match="not yet on issue3"):
        roundup.add_note(Reference("issue3", ""), NoteDraft("x"), "k", "rest/data/msg/@poe/abc")


def test_an_edit_by_somebody_else_is_read_again():
    def state(tag: str, *messages: str) -> Response:
        return answer(200, {"data": {"@etag": tag, "attributes": {"messages": list(messages)}}})

    listed = answer(200, {"data": {"collection": [{"id": "5", "external_id": "k"}]}})
    stale = answer(412, {"error": {"status": 412, "msg": "If-Match is missing or does not match."}})
    roundup, http = connected(listed, state("1"), stale, state("2", "4"), answer(200, {"data": {}}))
    assert roundup.find_note(Reference("issue3", ""), "k") == "msg5"
    assert [method for method, _ in http.sent] == ["GET", "GET", "PATCH", "GET", "PATCH"]


NAMES = {
    "priority": {"data": {"collection": [{"id": "1", "name": "Critical"}, {"id": "2", "name": "Urgent"}]}},
    "keyword": {"data": {"collection": [{"id": "7", "name": "VIP"}]}},
}
LABELLED = replace(CASE, labels=("vip", "unknown"), priority="urgent")


def test_an_issue_gets_the_priority_and_the_keywords_that_the_tracker_knows():
    tracker, http = connected(
        answer(200, NAMES["priority"]),
        answer(200, NAMES["keyword"]),
        answer(201, {"data": {"id": "9"}}),
        answer(200, EMPTY),
    )
    assert tracker.upsert(LABELLED, "key", PERMIT).unset == ("no keyword named unknown",)
    assert http.bodies[2] | {"title": ""} == {"title": "", "external_id": "key", "priority": "2", "keyword": ["7"]}


def test_a_tracker_without_such_names_takes_the_issue_all_the_same():
    refused = answer(403, {"error": {"status": 403, "msg": "no"}})
    missing = answer(404, {"error": {"status": 404, "msg": "Class keyword not found"}})
    tracker, http = connected(refused, missing, answer(201, {"data": {"id": "9"}}), answer(200, EMPTY))
    said = tracker.upsert(LABELLED, "key", PERMIT).unset
    assert said == ("no priority named urgent", "no keyword named vip", "no keyword named unknown")
    assert http.bodies[2].keys() == {"title", "external_id"}


def test_a_case_without_labels_costs_no_further_call():
    tracker, http = connected(answer(201, {"data": {"id": "9"}}), answer(200, EMPTY))
    tracker.upsert(CASE, "key", PERMIT)
    assert [method for method, _ in http.sent] == ["POST", "GET"]
