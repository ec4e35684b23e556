"""Every place where people talk, on the deployed machine: what is told, hinted at, polled and answered.

One stack has a source of each kind. Vendors are stand-ins that keep state; the front door, the queues, the secrets, the
roles and CloudFormation are the machine's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import urllib3

from connectors.aws.cursors import cursor_key
from connectors.core import door
from connectors.core.case import EffectKind, EffectState
from connectors.core.identity import qualify
from connectors.tool.deploy import describe
from connectors.tool.deployment import apply
from connectors.tool.local import RunningStack
from connectors.tool.story import sweeping
from connectors.tool.venvs import CHECKOUT
from tests.amazon_connect.contract import INSTANCE
from tests.amazon_connect.instance import cid
from tests.bluesky.contract import HANDLE
from tests.e2e.administrator import Administrator
from tests.e2e.places import SECRETS, SHOP, WORD, Places, logical
from tests.e2e.test_answer import Desk
from tests.e2e.test_event_bus import rule
from tests.e2e.wait import until
from tests.slack.test_slack_account import CHANNEL, TEAM
from tests.trustpilot.test_trustpilot_account import OTHER
from tests.youtube.test_youtube_account import INES

__all__ = ["rule"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STACK = "places"
PATIENCE = 100
PUSHED = ("slack", "twilio", "webhook", "instagram", "threads")
POLLED = ("mastodon", "bluesky", "youtube", "reddit", "app_store", "google_play", "threads")
RENEWED = {
    "bluesky": "token-2",
    **dict.fromkeys(("youtube", "reddit", "google_play", "threads", "trustpilot"), "fresh"),
}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class World:
    """The places, the machine that listens to them, and what was said so far."""

    def __init__(self, machine: RunningStack, places: Places) -> None:
        self.machine, self.places, self.desk = machine, places, Desk(machine)
        self.urls: Mapping[str, str] = {}
        self.said: dict[str, str] = {}
        self._pool = urllib3.PoolManager(retries=False, timeout=30)

    def post(self, name: str, body: bytes, secret: str | None = None, url: str = "", kind: str = JSON) -> Any:
        """A delivery as its vendor makes it; `url`: the address that is signed, if not the one that is called."""
        to = self.urls[name]
        headers = {"content-type": kind}
        given = self.places.verification.get(name, "") if secret is None else secret
        headers |= door.sign(door.load(name) or {}, body, given, url=url or to)
        return self._pool.request("POST", to, body=body, headers=headers)

    def handshake(self, name: str, word: str) -> tuple[int, bytes]:
        asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": word}
        answer = self._pool.request("GET", f"{self.urls[name]}?{urlencode(asked)}")
        return answer.status, answer.data

    def known(self, mention: str) -> bool:
        return self.machine.cases.mention(mention)[0] is not None

    def case(self, mention: str) -> str:
        """Of a mention that is in the table, or about to be."""
        until(lambda: (self.machine.cases.mention(mention)[0] or {}).get("case"), PATIENCE, f"the case of {mention}")
        return str((self.machine.cases.mention(mention)[0] or {})["case"])

    def begun(self, name: str) -> None:
        """The first poll only marks where to go on from."""
        row = cursor_key(f"{STACK}/{logical(name)}")
        until(lambda: "cursor" in (self.machine.table.get(*row) or {}), PATIENCE, f"the first poll of {name}")

    def tell(self, name: str) -> str:
        """Has somebody say something at a place; the mention's name."""
        if name not in self.said:
            native, authority = _SAY[name](self)
            self.said[name] = qualify(name, authority, native)
        return self.said[name]


@pytest.fixture(scope="module")
def world(machine: RunningStack) -> Iterator[World]:
    places, secrets = Places(), machine.client("secretsmanager")
    cloudformation = machine.client("cloudformation")
    with places.serve(), sweeping(machine):
        for name, value in places.verification.items():
            said = json.dumps({"secret": value, "verify_token": WORD})
            secrets.create_secret(Name=f"{SECRETS}{name}/verification", SecretString=said)
        for name, document in places.credentials.items():
            secrets.create_secret(Name=f"{SECRETS}{name}/credentials", SecretString=json.dumps(document))
        apply(cloudformation, STACK, places.template(machine.outputs["ConfigureArn"]), {})
        made = World(machine, places)
        outputs = describe(cloudformation, STACK).outputs
        made.urls = {name: outputs[logical(name)] for name in places.resources if logical(name) in outputs}
        yield made
        Administrator(machine).delete(STACK)


# ---- what is told ----------------------------------------------------------------------------------------------------


@cache
def _sample(name: str) -> str:
    return (CHECKOUT / "events" / name).read_text(encoding="utf-8")


def _slack(world: World) -> tuple[bytes, str, str | None]:
    ts = world.places.slack.say("The kettle of a customer leaks")
    said = json.loads(_sample("slack/message__kettle.json"))
    said["event"] |= {"ts": ts, "event_ts": ts, "text": "The kettle of a customer leaks"}
    return json.dumps(said).encode(), f"{CHANNEL}:{ts}", TEAM


def _twilio(world: World) -> tuple[bytes, str, str | None]:
    sid = str(world.places.twilio.text("Die Heizung ist kalt 😤")["sid"])
    form = dict(parse_qsl(_sample("twilio/message__sms.form"), keep_blank_values=True))
    form |= dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), sid)
    return urlencode(form).encode(), sid, None


def _webhook(world: World) -> tuple[bytes, str, str | None]:
    said = {"uuid": "c-4711", "order": {"number": 9}, "body": "The lid broke", "visibility": "public"}
    said |= {"customer": {"id": "u-81", "full_name": "Ines Vogt"}, "at": "2026-11-18T07:12:03Z"}
    return json.dumps({"data": {"comments": [said]}}).encode(), "c-4711", SHOP


def _instagram(world: World) -> tuple[bytes, str, str | None]:
    there = world.places.instagram
    post = there.post()
    comment = there.say("ines.brandt", "Still no heating", post)
    said = json.loads(_sample("instagram/comments__heating.json"))
    said["entry"][0]["changes"][0]["value"] |= {"id": comment, "media": {"id": post, "media_product_type": "FEED"}}
    return json.dumps(said).encode(), comment, None


def _threads(world: World) -> tuple[bytes, str, str | None]:
    said = json.loads(_sample("threads/mentions__post.json"))
    said["values"]["value"]["id"] = "18990000000000201"
    return json.dumps(said).encode(), "18990000000000201", None


_BODY: dict[str, Callable[[World], tuple[bytes, str, str | None]]] = {
    "slack": _slack,
    "twilio": _twilio,
    "webhook": _webhook,
    "instagram": _instagram,
    "threads": _threads,
}


def _push(world: World, name: str) -> tuple[str, str | None]:
    """By the front door, where a stranger's is refused before."""
    body, native, authority = _BODY[name](world)
    kind = FORM if name == "twilio" else JSON
    rules = door.load(name) or {}
    assert world.post(name, body, door.fresh_secret(rules), kind=kind).status == 401
    assert not world.known(qualify(name, authority, native))
    answer = world.post(name, body, kind=kind)
    assert answer.status == 200, answer.data
    assert (answer.data == b"<Response/>") == (name == "twilio")
    return native, authority


def _pushed(world: World, name: str) -> str:
    native, authority = _push(world, name)
    return qualify(name, authority, native)


@pytest.mark.parametrize("name", PUSHED)
def test_what_is_pushed_becomes_a_case_and_what_is_forged_does_not(world: World, name: str) -> None:
    case = world.case(world.tell(name) if name != "threads" else _pushed(world, name))
    opened = [one for one in world.machine.cases.timeline(case) if one.kind.value == "opened"]
    assert len(opened) == 1


def test_a_text_whose_signature_is_for_another_address_is_refused(world: World) -> None:
    body = urlencode({"MessageSid": f"SM{99:032x}", "MessageStatus": "delivered"}).encode()
    assert world.post("twilio", body, url=f"{world.urls['twilio']}x", kind=FORM).status == 401
    answer = world.post("twilio", body, kind=FORM)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")


def test_handshakes_are_answered_to_who_knows_the_word_or_the_secret(world: World) -> None:
    for name in ("instagram", "threads"):
        assert world.handshake(name, WORD) == (200, b"1158201444")
        assert world.handshake(name, "another")[0] == 403
    body = _sample("slack/url_verification__address.json").encode()
    assert world.post("slack", body, door.fresh_secret({})).status == 401
    answer = world.post("slack", body)
    assert (answer.status, answer.data.decode()) == (200, json.loads(body)["challenge"])


# ---- what is hinted at -----------------------------------------------------------------------------------------------


def test_a_mention_elsewhere_on_instagram_is_fetched(world: World) -> None:
    there = world.places.instagram
    post = there.post("mia", "My cold flat")
    comment = there.say("mia", "@acme.heating are you serious?", post)
    there.others |= {post, comment}
    said = json.loads(_sample("instagram/mentions.comment__elsewhere.json"))
    said["entry"][0]["changes"][0]["value"] = {"media_id": post, "comment_id": comment}
    assert world.post("instagram", json.dumps(said).encode()).status == 200
    name = f"instagram:{comment}"
    assert world.case(name)
    mention = world.machine.cases.mention(name)[1]
    assert mention is not None
    assert (mention.text, mention.author and mention.author.handle) == ("@acme.heating are you serious?", "mia")


def _trustpilot(world: World) -> tuple[str, str | None]:
    native = world.places.trustpilot.say("Nobody answers the phone")
    assert _hint(world, native).status == 200
    return native, None


def _hint(world: World, review: str) -> Any:
    said = json.loads(_sample("trustpilot/service-review-created__cold.json"))
    said["events"][0]["eventData"]["id"] = review
    return world.post("trustpilot", json.dumps(said).encode())


def test_of_an_unsigned_hint_nothing_is_believed_and_the_review_is_fetched(world: World) -> None:
    another = world.places.trustpilot.say("Of another business", unit=OTHER)
    assert _hint(world, another).status == 200
    name = world.tell("trustpilot")
    assert world.case(name)
    mention = world.machine.cases.mention(name)[1]
    assert mention is not None
    assert mention.text == "Nobody answers the phone"
    asked = f"/v1/private/reviews/{another}"
    until(lambda: any(call.path == asked for call, *_ in world.places.trustpilot.calls), PATIENCE, "the other's review")
    assert not world.known(f"trustpilot:{another}")


def test_a_call_that_connect_tells_of_is_a_case_with_its_caller(world: World, rule: str) -> None:
    """As `test_event_bus` does: the rule takes an event of ours and hands on Connect's in its place."""
    events = world.machine.client("events")
    said = json.loads(_sample("amazon_connect/INITIATED__call.json"))
    said["detail"] |= {"contactId": cid(7), "instanceArn": INSTANCE}
    world.places.amazon_connect.call(7, time.time() - 60, None, "+4917099887766")
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["hailback.places"]}))
    events.put_targets(Rule=rule, Targets=[{**target, "Input": json.dumps(said)}])
    events.put_events(Entries=[{"Source": "hailback.places", "DetailType": "Try", "Detail": "{}"}])
    name = world.said["amazon_connect"] = f"amazon_connect:{INSTANCE}:{cid(7)}:INITIATED"
    assert world.case(name)
    mention = world.machine.cases.mention(name)[1]
    assert mention is not None
    assert mention.author is not None
    assert mention.author.identity == "tel:+4917099887766"


# ---- what is polled --------------------------------------------------------------------------------------------------

_ASKED: dict[str, Callable[[Places], str]] = {
    "mastodon": lambda places: str(places.mastodon.say("@acme my heating hums")["uri"]),
    "bluesky": lambda places: places.bluesky.say(f"@{HANDLE} my heating hums"),
    "youtube": lambda places: places.youtube.say(INES, "My heating hums"),
    "reddit": lambda places: places.reddit.say("ines", "My heating hums"),
    "app_store": lambda places: places.app_store.say("My heating hums"),
    "google_play": lambda places: places.google_play.say("My heating hums"),
    "threads": lambda places: places.threads.say("ines", "@acme.heating it hums"),
}


def _asked(world: World, name: str) -> tuple[str, str | None]:
    """At all of them at once: their polls come when they come."""
    for one in POLLED:
        world.begun(one)
    found = {one: _ASKED[one](world.places) for one in POLLED if one not in world.said}
    world.said |= {one: qualify(one, None, native) for one, native in found.items()}
    return found[name], None


@pytest.mark.parametrize("name", POLLED)
def test_what_a_poll_brings_becomes_a_case(world: World, name: str) -> None:
    case = world.case(world.tell(name))
    assert [one.kind.value for one in world.machine.cases.timeline(case)].count("opened") == 1


@pytest.mark.parametrize("name", RENEWED)
def test_access_tokens_are_made_and_kept(world: World, name: str) -> None:
    world.case(world.tell(name))
    kept = json.loads(world.machine.secret_text(f"{SECRETS}{name}/credentials"))
    assert kept["access_token"] == RENEWED[name]
    assert kept["expires_at"] > time.time() * 1000
    assert kept.items() >= {**world.places.credentials[name], "access_token": RENEWED[name]}.items()


# ---- what is answered ------------------------------------------------------------------------------------------------

_SAY: dict[str, Callable[[World], tuple[str, str | None]]] = {
    **{name: lambda world, name=name: _push(world, name) for name in PUSHED},  # type: ignore[misc]
    **{name: lambda world, name=name: _asked(world, name) for name in POLLED},  # type: ignore[misc]
    "trustpilot": _trustpilot,
}


def test_answers_go_out_once_at_every_place(world: World) -> None:
    cases = {name: world.case(mention) for name, mention in {**{n: world.tell(n) for n in _SAY}, **world.said}.items()}
    waiting, lines = dict(cases), dict[str, str]()
    for name, case in cases.items():
        until(lambda case=case: world.desk._record(case), PATIENCE, f"the record of {case}, {name}")  # type: ignore[misc]
        world.desk.answer(case, f"We come today, {name}.")

    def done() -> bool:
        for name, case in list(waiting.items()):
            effects = [one for one in world.machine.cases.effects(case) if one.kind is EffectKind.REPLY]
            lines[name] = "; ".join(f"{one.state}: {one.error}" for one in effects)
            if [one.state for one in effects] == [EffectState.DONE]:
                del waiting[name], lines[name]
        return not waiting

    try:
        until(done, PATIENCE, "all answers to be done")
    except AssertionError:
        raise AssertionError(f"not all answers are done: {lines}") from None
    for name in cases:
        said = json.dumps(world.places.outgoing(name), default=str)
        assert said.count(f"We come today, {name}.") == 1, name
