"""Our business unit at a Trustpilot that keeps state: nobody's delivery is believed, and a review has one reply."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Deletion, Hint, Mention, Unsupported
from connectors.http import HttpClient
from connectors.trustpilot.account import TrustpilotAccount, TrustpilotCredentials
from connectors.trustpilot.connector import Trustpilot, TrustpilotSource
from tests.described import NUMBER, TEXT, Described, const, exact, hold, many, shape
from tests.polled import polled
from tests.standin import Answer, Call, serving

HTTP = HttpClient(allow_private=True)
UNIT, OTHER, USER = "46d6a890000064000500e0c3", "46d6a890000064000500ffff", "507f191e810c19729de860ea"
SETTINGS = TrustpilotSource(business_unit=UNIT)
LOGIN = "/v1/oauth/oauth-business-users-for-applications/accesstoken"

NULLABLE = {"type": ["string", "null"]}
PERSON = shape("id displayName", id=TEXT, displayName=TEXT)
REVIEW = shape(
    "id consumer businessUnit stars title text language createdAt",
    id={"type": "string", "pattern": "^[0-9a-f]{24}$"},
    consumer=PERSON,
    businessUnit=PERSON,
    stars=NUMBER,
    title=TEXT,
    text=TEXT,
    language=TEXT,
    createdAt=TEXT,
    updatedAt=NULLABLE,
    companyReply={"anyOf": [{"type": "null"}, shape("text createdAt", text=TEXT, createdAt=TEXT, updatedAt=NULLABLE)]},
)
CALLS = [
    Described(
        "POST",
        LOGIN,
        body=exact("grant_type", grant_type=const("client_credentials")),
        answer=shape("access_token expires_in"),
    ),
    Described(
        "GET",
        "/v1/private/business-units/{businessUnitId}/reviews",
        {"orderBy", "perPage", "page", "stars", "language", "startDateTime", "endDateTime"},
        answer=shape("reviews", reviews=many(REVIEW)),
    ),
    Described("GET", "/v1/private/reviews/{reviewId}", answer=REVIEW),
    Described(
        "POST",
        "/v1/private/reviews/{reviewId}/reply",
        body=exact("message authorBusinessUserId", message=TEXT, authorBusinessUserId=TEXT),
    ),
]
"""Of https://developers.trustpilot.com/service-reviews-api, …/business-units-api and …/authentication"""


def stamp(ago: float = 0) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).isoformat().replace("+00:00", "Z")


class Place:
    """As much of the API as is called. `lose`: the next reply is taken and its answer lost."""

    def __init__(self) -> None:
        self.reviews: dict[str, dict[str, Any]] = {}
        self.lose = False
        self.refusal: Answer | None = None
        self.hidden: set[str] = set()
        self.calls: list[tuple[Call, int, object]] = []

    def say(self, text: str, ago: float = 60, unit: str = UNIT) -> str:
        name = f"5f0c6d2a86dd2a0a{len(self.reviews):08x}"
        self.reviews[name] = {
            "id": name,
            "consumer": {"id": f"5f0c6d2a00006400{len(self.reviews):08x}", "displayName": "Ines W."},
            "businessUnit": {"id": unit, "displayName": "Acme Heating"},
            "stars": 1,
            "title": "Cold",
            "text": text,
            "language": "de",
            "createdAt": stamp(ago),
            "updatedAt": None,
            "companyReply": None,
        }
        return name

    def respond(self, name: str, text: str) -> None:
        """As a person does at Trustpilot; the one before is replaced."""
        self.reviews[name]["companyReply"] = {"text": text, "createdAt": stamp(), "updatedAt": None}

    def answer(self, call: Call) -> Answer:
        status, said, more = self._answer(call)
        self.calls.append((call, status, said))
        return status, said, more

    def _answer(self, call: Call) -> Answer:
        if call.path == LOGIN:
            if call.headers["authorization"] != f"Basic {b64encode(b'app:s3').decode()}":
                return 401, {"message": "Invalid credentials"}, {}
            return 200, {"access_token": "fresh", "expires_in": "359999", "token_type": "BearerToken"}, {}
        if call.headers["authorization"] != "Bearer fresh":
            return 401, {"message": "Unauthorized"}, {}
        if self.refusal:
            return self.refusal
        if call.path.startswith("/v1/private/business-units/"):
            assert call.path.split("/")[4] == UNIT
            return self._list(call)
        name = call.path.split("/")[4]
        if name in self.hidden:
            return 403, {"message": "Forbidden"}, {}
        if name not in self.reviews:
            return 404, {"message": "Not found", "errorCode": 1004}, {}
        if call.method == "GET":
            return 200, self.reviews[name], {}
        self.respond(name, call.json()["message"])
        if self.lose:
            self.lose = False
            return 200, None, {}
        return 201, b"", {}

    def _list(self, call: Call) -> Answer:
        ours = [one for one in self.reviews.values() if one["businessUnit"]["id"] == UNIT]
        found = sorted(ours, key=lambda one: str(one["createdAt"]), reverse=True)
        size = int(call.query["perPage"])
        start = size * (int(call.query.get("page", "1")) - 1)
        return 200, {"links": [], "reviews": found[start : start + size]}, {}


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def address(place: Place) -> Iterator[str]:
    with serving(place.answer) as running:
        yield running


@pytest.fixture
def account(address: str) -> TrustpilotAccount:
    return built(address)


def built(address: str, **other: object) -> TrustpilotAccount:
    given = {"client_id": "app", "client_secret": "s3", "business_user": USER, "access_token": "fresh", **other}
    settings = SETTINGS.model_copy(update={"api_url": address})
    return TrustpilotAccount(settings, TrustpilotCredentials.model_validate(given), HTTP)


def delivered(name: str, event: str = "service-review-created", **more: object) -> list[Any]:
    """What becomes of a delivery, as the machine reads it: from anybody."""
    about = {"id": name, "stars": 5, "title": "Not to be believed", "text": "Somebody may have made this up.", **more}
    body = {"events": [{"eventName": event, "version": "1", "eventData": about}]}
    return list(Trustpilot(SETTINGS).parse(Delivery({}, json.dumps(body).encode())))


def seen(account: TrustpilotAccount, name: str) -> Mention:
    return next(one for one in account.recheck([name]).edited if one.native_id == name)


def test_a_delivery_is_a_hint_and_what_it_says_is_fetched(place: Place, account: TrustpilotAccount) -> None:
    name = place.say("cold")
    place.respond(name, "We come.")
    (hint,) = delivered(name)
    assert isinstance(hint, Hint)
    assert "believed" not in hint.model_dump_json()
    review, reply = account.resolve(hint)
    assert isinstance(review, Mention)
    assert isinstance(reply, Mention)
    assert (review.text, review.own, reply.own, reply.parent_id) == ("cold", False, True, name)
    del place.reviews[name]
    (gone,) = account.resolve(delivered(name, "service-review-deleted")[0])
    assert isinstance(gone, Deletion)
    assert gone.native_id == name


def test_a_deletion_that_somebody_made_up_deletes_nothing(place: Place, account: TrustpilotAccount) -> None:
    name = place.say("cold")
    (still,) = account.resolve(delivered(name, "service-review-deleted")[0])
    assert isinstance(still, Mention)


def test_another_businesss_review_is_none_of_ours(place: Place, account: TrustpilotAccount) -> None:
    theirs, hidden = place.say("somebody else's", unit=OTHER), place.say("nor to be seen", unit=OTHER)
    place.hidden.add(hidden)
    for name in (theirs, hidden):
        (event,) = account.resolve(delivered(name)[0])
        assert isinstance(event, Unsupported)
    assert list(account.recheck([seen(account, place.say("cold")).native_id]).gone) == []
    place.refusal = 403, {"message": "Forbidden"}, {}  # nothing may be seen: that is for an administrator
    with pytest.raises(MisconfiguredError):
        account.resolve(delivered(hidden)[0])


@pytest.mark.parametrize(
    "name", ["../../oauth/x", "5f0c6d2a86dd2a0a7a000001/reply", "a b", "", "5f0c?x=1", "x" * 41, "5f0c6d2a86dd2a0a\n"]
)
def test_a_forged_id_becomes_no_part_of_an_address(name: str) -> None:
    (event,) = delivered(name)
    assert isinstance(event, Unsupported)


def test_an_answer_that_is_delivered_is_not_believed(place: Place) -> None:
    body = json.dumps({"reviews": [place.reviews[place.say("cold")]]}).encode()
    (event,) = Trustpilot(SETTINGS).parse(Delivery({}, body))
    assert isinstance(event, Unsupported)
    (mention,) = Trustpilot.for_parse().parse(Delivery({}, body))
    assert isinstance(mention, Mention)


def test_every_review_is_brought_once_and_a_persons_reply_as_our_own(place: Place, account: TrustpilotAccount) -> None:
    old = place.say("long ago", ago=400_000)
    _, cursor = polled(account, None)
    names = [place.say(f"cold {number}", ago=150 - number) for number in range(130)]
    found, cursor = polled(account, cursor)
    assert sorted(one.native_id for one in found) == names
    assert polled(account, cursor)[0] == []
    place.respond(names[-1], "We have mended it.")
    place.reviews[names[-2]] |= {"text": "warm by now", "updatedAt": stamp()}
    news, cursor = polled(account, cursor)
    assert {(one.native_id, one.own) for one in news} == {(f"{names[-1]}:reply", True), (names[-2], False)}
    assert polled(account, cursor)[0] == []
    assert old not in {one.native_id for one in found}


def test_a_reply_is_written_once_though_its_receipt_is_lost(place: Place, account: TrustpilotAccount) -> None:
    review = seen(account, place.say("cold"))
    assert account.find_reply(review, "key") is None
    place.lose = True
    with pytest.raises(UnknownOutcomeError):
        account.reply(review, "We come.", "key")
    receipt = account.find_reply(review, "key")
    assert receipt is not None
    assert receipt.id == f"{review.native_id}:reply"
    with pytest.raises(RejectedError, match="already"):
        account.reply(review, "We come.", "key")
    assert [call.method for call, _, _ in place.calls].count("POST") == 1


def test_a_persons_reply_is_not_replaced_by_ours(place: Place, address: str, account: TrustpilotAccount) -> None:
    review = seen(account, place.say("cold"))
    with pytest.raises(RejectedError, match="business_user"):
        built(address, business_user=None).reply(review, "We come.", "key")
    place.respond(review.native_id, "A person was faster.")
    with pytest.raises(RejectedError, match="already"):
        account.reply(review, "We come.", "key")
    assert place.reviews[review.native_id]["companyReply"]["text"] == "A person was faster."
    assert all(call.method == "GET" for call, _, _ in place.calls)


def test_reviews_and_replies_that_were_removed_are_gone(place: Place, account: TrustpilotAccount) -> None:
    kept, bare, gone = place.say("cold"), place.say("colder"), place.say("coldest")
    place.respond(kept, "We come.")
    del place.reviews[gone]
    found = account.recheck([kept, f"{kept}:reply", f"{bare}:reply", gone, f"{gone}:reply"])
    assert sorted(one.native_id for one in found.gone) == sorted([f"{bare}:reply", gone, f"{gone}:reply"])
    assert {kept, f"{kept}:reply"} <= {one.native_id for one in found.edited}


def test_a_reply_that_was_written_anew_is_a_new_version(place: Place, account: TrustpilotAccount) -> None:
    name = place.say("cold")
    place.reviews[name]["companyReply"] = {"text": "We come.", "createdAt": stamp(90), "updatedAt": None}
    (before,) = [one for one in account.recheck([name]).edited if one.own]
    place.respond(name, "We have come.")
    (after,) = [one for one in account.recheck([name]).edited if one.own]
    assert after.id == before.id
    assert after.version > before.version > 0


def test_a_limit_is_waited_for(place: Place, account: TrustpilotAccount) -> None:
    cursor = account.poll(None).cursor
    place.refusal = 429, {"message": "Too many requests"}, {"Retry-After": "90"}
    with pytest.raises(UnavailableError) as caught:
        account.poll(cursor)
    assert caught.value.retry_after == 90
    assert account.check().state is TokenState.LIMITED


def test_the_token_is_made_for_the_application_and_tried_out(address: str, account: TrustpilotAccount) -> None:
    now = int(time.time() * 1000)
    new = built(address, access_token=None)
    assert new.refresh_due(now)
    document = new.refresh(now)
    assert (document["access_token"], document["business_user"]) == ("fresh", USER)
    renewed = TrustpilotCredentials.model_validate(document)
    assert not renewed.due(now)
    assert renewed.due(now + 359_999_000)
    assert account.check().state is TokenState.OK
    assert built(address, access_token="old").check().state is TokenState.EXPIRED
    assert built(address, access_token=None).check().state is TokenState.EXPIRED
    with pytest.raises(MisconfiguredError) as caught:
        built(address, client_secret="wrong").refresh(now)
    assert caught.value.token is TokenState.REVOKED


def test_what_is_asked_and_what_this_place_says_is_as_documented(place: Place, account: TrustpilotAccount) -> None:
    account.refresh(int(time.time() * 1000))
    _, cursor = polled(account, None)
    name = place.say("cold")
    polled(account, cursor)
    account.reply(seen(account, name), "We come.", "key")
    account.check()
    assert hold(place.calls, CALLS, login=LOGIN) == {f"{one.method} {one.path}" for one in CALLS}


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"productReviews": [{"id": "5f", "stars": 5}]}, "other"),
        ({"message": "Not found", "errorCode": 1004}, "error"),
        ({"fault": {"faultstring": "Invalid ApiKey"}}, "error"),
        ({"events": [{"eventName": "foo", "version": "1", "eventData": {"id": "62c8968be77911f2449e9f74"}}]}, "foo"),
        ({"events": [{"eventName": "service-review-created", "eventData": {}}]}, "service-review-created"),
        ({"events": [None]}, "unknown"),
    ],
)
def test_what_is_no_review_is_counted(said: object, event: str) -> None:
    (only,) = Trustpilot.for_parse().parse(Delivery({}, json.dumps(said).encode()))
    assert isinstance(only, Unsupported)
    assert only.event == event


def test_a_page_without_reviews_brings_nothing() -> None:
    assert list(Trustpilot.for_parse().parse(Delivery({}, b'{"links": [], "reviews": []}'))) == []


def test_a_consumer_whose_id_is_not_told_is_nobody_else() -> None:
    said = {
        "id": "5f0c6d2a86dd2a0a7a000001",
        "stars": 2,
        "consumer": {"name": "Ines"},
        "createdAt": "2026-11-18T07:12:03Z",
    }
    (review,) = Trustpilot.for_parse().parse(Delivery({}, json.dumps(said).encode()))
    assert isinstance(review, Mention)
    assert review.author is not None
    assert (review.author.native_id, review.author.name, review.text) == (review.native_id, "Ines", "")
