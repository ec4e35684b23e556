"""What Zendesk's deliveries become, and who is let in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from connectors import system
from connectors.core import door
from connectors.core.delivery import Delivery, Request
from connectors.core.errors import MisconfiguredError, PayloadError
from connectors.core.models import RecordUpdate, Unsupported
from connectors.tool.main import app
from connectors.zendesk import payloads
from connectors.zendesk.connector import Zendesk
from connectors.zendesk.settings import ZendeskCredentials, ZendeskSystem

SAMPLES = Path(__file__).resolve().parents[2] / "events" / "zendesk"
ACME = ZendeskSystem(BaseUrl="https://acme.zendesk.com", Account="900001")
NOW = 1_772_444_477  # 2026-03-02T09:41:17Z


def parse(body: object) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (event,) = Zendesk(ACME).parse(Delivery(headers={}, body=raw))
    return event


def sample(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def test_the_registry_knows_it():
    assert system("zendesk") is Zendesk


def test_every_sample_is_declared():
    declared = {"note", "reply", "own", "end-user", "not-ours", "solved", "deleted", "pending"}
    assert {path.stem.partition("__")[2] for path in SAMPLES.glob("*.json")} == declared


@pytest.mark.parametrize(
    ("name", "kind", "native_id", "own"),
    [
        ("ticket.comment_added__note", "note", "81000201", False),
        ("ticket.comment_added__reply", "reply", "81000202", False),
        ("ticket.comment_added__own", "note", "81000203", True),
        ("ticket.comment_added__end-user", "note", "81000204", False),
        ("ticket.status_changed__solved", "status", f"status-solved-{NOW}", False),
        ("ticket.status_changed__own", "status", f"status-pending-{NOW}", True),
        ("trigger__pending", "status", f"status-pending-{NOW}", False),
    ],
)
def test_samples_become_updates_of_their_record(name, kind, native_id, own):
    event = parse(sample(name))
    assert isinstance(event, RecordUpdate)
    assert (event.kind, event.native_id, event.own) == (kind, native_id, own)
    assert event.id == f"zendesk:acme.zendesk.com:5158/{native_id}"
    assert event.url == "https://acme.zendesk.com/agent/tickets/5158"
    assert event.at is not None
    assert int(event.at.timestamp()) == NOW


def test_a_reply_brings_its_words_and_its_author():
    event = parse(sample("ticket.comment_added__reply"))
    assert event.text.startswith("Hello Ines,\n\nplease hold")
    assert (event.author.native_id, event.author.name, event.status) == ("900002", "Mia Kern", None)
    assert parse(sample("ticket.status_changed__solved")).status == "solved"


@pytest.mark.parametrize("name", ["not-ours", "deleted"])
def test_what_is_not_ours_is_counted_and_not_kept(name):
    (path,) = SAMPLES.glob(f"*__{name}.json")
    event = parse(path.read_bytes())
    assert isinstance(event, Unsupported)
    assert event.keep_raw is False


@pytest.mark.parametrize("kind", ["ticket.created", "ticket.tags_changed", "user.created", "", "x"])
def test_other_events_are_counted(kind):
    event = parse({**sample("ticket.comment_added__note"), "type": f"zen:event-type:{kind}"})
    assert isinstance(event, Unsupported)
    assert parse({"type": kind}).keep_raw is False


def test_our_key_marks_an_echo_whoever_is_said_to_have_written_it():
    body = sample("ticket.comment_added__note")
    body["event"]["comment"]["body"] = "Words\r\n\r\nHailback key: hailback-k3wz7q2v5nmb4xctrapd6jhy"
    assert parse(body).own is True
    body["event"]["comment"]["body"] = "> Hailback key: hailback-k3wz7q2v5nmb4xctrapd6jhy\nseen"
    assert parse(body).own is False


@pytest.mark.parametrize(("current", "status"), [("NEW", "open"), ("HOLD", "pending"), ("CLOSED", "solved")])
def test_every_status_comes_down_to_one_of_three(current, status):
    body = sample("ticket.status_changed__solved")
    body["event"]["current"] = current
    assert parse(body).status == status


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body.pop("event"), "no `event` object"),
        (lambda body: body.pop("type"), "no `type`"),
        (lambda body: body.update(detail=[]), "no `detail` object"),
        (lambda body: body["detail"].update(id="0x1"), "`id` is not an id"),
        (lambda body: body["detail"].update(id=True), "`id` is not an id"),
        (lambda body: body["event"]["comment"].pop("id"), "`id` is not an id"),
    ],
)
def test_a_body_that_nobody_documents_is_named(change, said):
    body = sample("ticket.comment_added__note")
    change(body)
    with pytest.raises(PayloadError, match=said):
        parse(body)


def test_ids_may_be_numbers_too():
    body = sample("ticket.comment_added__note")
    body["detail"]["id"], body["event"]["comment"]["id"] = 5158, 81000201
    assert parse(body) == parse(sample("ticket.comment_added__note"))


def _objects(children: Any) -> Any:
    names = st.sampled_from(["type", "detail", "event", "comment", "id", "external_id", "hailback", "author"])
    values = st.sampled_from(["zen:event-type:ticket.comment_added", "hailback-x", "trigger", 7])
    return st.dictionaries(names, children | values)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda c: st.lists(c) | _objects(c))
)
def test_any_json_is_read_or_named(value: object):
    try:
        parse(json.dumps(value).encode())
    except PayloadError as error:
        assert len(str(error)) < 200  # noqa: PT017


def test_the_documented_signature():
    """base64(HMAC-SHA256(secret, timestamp + body)), as https://developer.zendesk.com/documentation/webhooks/verifying/"""
    body, stamp, secret = b'{"a":1}', "2026-03-02T09:41:17Z", "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
    digest = base64.b64encode(hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()).decode()
    rule = door.load("zendesk") or {}
    headers = {"x-zendesk-webhook-signature": digest, "x-zendesk-webhook-signature-timestamp": stamp}
    assert door.sign(rule, body, secret, now=NOW) == headers
    request = Request("POST", headers, body)
    assert door.verify(rule, request, [secret], now=NOW + 300)
    assert not door.verify(rule, request, [secret], now=NOW + 301)
    assert not door.verify(rule, request, ["another"], now=NOW)
    assert not door.verify(rule, Request("POST", headers, body + b" "), [secret], now=NOW)
    later = {**headers, "x-zendesk-webhook-signature-timestamp": "2026-03-02T09:41:18Z"}
    assert not door.verify(rule, Request("POST", later, body), [secret], now=NOW)


@pytest.mark.parametrize(
    ("stamp", "fits"),
    [
        ("2026-03-02T09:41:17Z", True),
        ("2026-03-02T09:41:17.123456789Z", True),
        ("2026-03-02T10:41:17+01:00", True),
        ("2026-03-02T09:41:17", False),
        ("2026-03-02", False),
        ("1772444477", False),
        ("2026-13-02T09:41:17Z", False),
        ("٢026-03-02T09:41:17Z", False),
        ("2026-03-02T09:41:17Z ", False),
        ("", False),
    ],
)
def test_times_of_other_shapes_are_refused(stamp, fits):
    digest = hmac.new(b"secret", stamp.encode() + b"{}", hashlib.sha256).digest()
    headers = {
        "x-zendesk-webhook-signature": base64.b64encode(digest).decode(),
        "x-zendesk-webhook-signature-timestamp": stamp,
    }
    assert door.verify(door.load("zendesk") or {}, Request("POST", headers, b"{}"), ["secret"], now=NOW) is fits


def test_the_tool_parses_samples():
    arguments = ["--authority", "acme.zendesk.com", "--account", "900001"]
    names = [str(SAMPLES / f"ticket.comment_added__{case}.json") for case in ("reply", "own")]
    done = CliRunner().invoke(app, ["parse", "zendesk", *names, *arguments])
    assert done.exit_code == 0, done.stderr
    reply, own = map(json.loads, done.stdout.splitlines())
    assert (reply["kind"], reply["id"]) == ("reply", "zendesk:acme.zendesk.com:5158/81000202")
    assert (reply["own"], own["own"]) == (False, True)
    refused = CliRunner().invoke(app, ["parse", "roundup", names[0]])
    assert (refused.exit_code, "sends no deliveries" in refused.stderr) == (2, True)


def test_a_connector_for_reading_does_not_write():
    for reader in (Zendesk(ACME), Zendesk.for_parse()):
        with pytest.raises(MisconfiguredError):
            reader.find("hailback-x")


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"BaseUrl": "acme.zendesk.com"}, "not a web address"),
        ({"BaseUrl": "https://acme.zendesk.com/agent"}, "leave out"),
        ({"BaseUrl": "https://acme.zendesk.com/?x"}, "leave out"),
        ({"BaseUrl": "https://me:word@acme.zendesk.com"}, "belong in the secret"),
        ({"BaseUrl": "https://acme.zendesk.com:port"}, "not a URL"),
        ({"Account": "mia"}, "not a user id"),
        ({"Account": "0"}, "not a user id"),
        ({"Priority": "huge"}, "Priority"),
        ({"Colour": "red"}, "Colour"),
    ],
)
def test_settings_that_are_refused(fields, hint):
    with pytest.raises(ValidationError, match=hint):
        ZendeskSystem(**{"BaseUrl": "https://acme.zendesk.com", "Account": "1", **fields})


def test_settings_survive_the_way_through_the_table():
    settings = ZendeskSystem(BaseUrl="https://Acme.Zendesk.com/", Account=900001)
    assert settings.base_url == "https://acme.zendesk.com"
    assert ZendeskSystem.model_validate(settings.model_dump(mode="json", by_alias=True)) == settings


@pytest.mark.parametrize(
    "secret",
    [
        "{}",
        '{"email": "a@b.c"}',
        '{"token": "x"}',
        '{"email": "a@b.c", "token": "x", "oauth_token": "y"}',
        '{"email":"a","token":"x"}',
    ],
)
def test_secrets_that_are_refused(secret):
    with pytest.raises(ValidationError):
        ZendeskCredentials.model_validate_json(secret)


def test_a_token_does_not_show():
    credentials = ZendeskCredentials.model_validate_json('{"email": "a@b.c", "token": "hush"}')
    assert "hush" not in repr(credentials)
    assert Zendesk(ACME, credentials)._headers == {"Authorization": "Basic YUBiLmMvdG9rZW46aHVzaA=="}
    other = ZendeskCredentials.model_validate_json('{"oauth_token": "hush"}')
    assert Zendesk(ACME, other)._headers == {"Authorization": "Bearer hush"}


def test_words_are_cleaned_and_whole_and_the_key_stays():
    key = "hailback-" + "a" * 24
    assert payloads.marked(" a\r\nb\x00 ", key) == f"a\nb\n\nHailback key: {key}"
    for letter in ("x", "ü", "😀"):
        long = payloads.marked(letter * 20_000, key)
        assert long.startswith(letter * 20_000), "what does not fit is another note's; nothing is cut here"
        assert payloads.key_in(long) == key
    assert payloads.title("x" * 500) == "x" * 149 + "…"
    assert payloads.title(" \n") == "(no title)"


def test_a_customer_cannot_forge_a_key_in_our_note():
    """Ours is the last line, and the last one counts."""
    key, forged = "hailback-" + "a" * 24, "hailback-" + "b" * 24
    assert payloads.key_in(payloads.marked(f"Hailback key: {forged}", key)) == key
