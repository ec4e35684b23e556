"""Our app in an App Store that keeps state: who may ask, what a poll brings, and that a review has one response."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.app_store.account import AppStoreAccount, AppStoreCredentials
from connectors.app_store.connector import AppStoreSource
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.http import HttpClient
from tests.described import NUMBER, TEXT, Described, const, exact, hold, many, shape
from tests.polled import polled
from tests.standin import Answer, Call, serving

HTTP = HttpClient(allow_private=True)
KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ISSUER = "57246542-96fe-1a63-e053-0824d011072a"
GIVEN = {"key_id": "2X9R4HXF34", "issuer_id": ISSUER, "private_key": PEM}
LIST = "/v1/apps/100200300/customerReviews"

POINTER = shape("data", data=exact("type id", type=const("customerReviews"), id=TEXT))
REVIEW = shape(
    "type id",
    type=const("customerReviews"),
    id=TEXT,
    attributes=shape(rating=NUMBER, title=TEXT, body=TEXT, reviewerNickname=TEXT, createdDate=TEXT, territory=TEXT),
)
RESPONSE = shape(
    "type id",
    type=const("customerReviewResponses"),
    id=TEXT,
    attributes=shape(responseBody=TEXT, lastModifiedDate=TEXT, state={"enum": ["PUBLISHED", "PENDING_PUBLISH"]}),
)
WORDS = exact("responseBody", responseBody=TEXT)
NEW = exact(
    "type attributes relationships",
    type=const("customerReviewResponses"),
    attributes=WORDS,
    relationships=exact("review", review=POINTER),
)
CALLS = [
    Described(
        "GET",
        "/v1/apps/{id}/customerReviews",
        {"sort", "limit", "include", "cursor"},
        answer=shape("data links", data=many(REVIEW), included=many(RESPONSE), links=shape("self", self=TEXT)),
    ),
    Described("GET", "/v1/customerReviews/{id}", {"include"}, answer=shape("data links", data=REVIEW)),
    Described("GET", "/v1/customerReviewResponses/{id}", {"include"}, answer=shape("data links", data=RESPONSE)),
    Described(
        "POST",
        "/v1/customerReviewResponses",
        body=exact("data", data=NEW),
        answer=shape("data links", data=RESPONSE),
    ),
]
"""Of https://developer.apple.com/documentation/appstoreconnectapi/customer-reviews and …/customer-review-responses"""


class Store:
    """As much of the API as is called. `lose`: the next response is taken and its answer lost."""

    def __init__(self) -> None:
        self.reviews: dict[str, dict[str, Any]] = {}
        self.responses: dict[str, dict[str, Any]] = {}
        self.lose = False
        self.refusal: Answer | None = None
        self.individual = False
        self.page = 2
        self.address = ""
        self.calls: list[tuple[Call, int, object]] = []

    def say(self, text: str, ago: float = 60) -> str:
        name = f"0000-{len(self.reviews)}"
        made = datetime.fromtimestamp(time.time() - ago, UTC).isoformat()
        said = {"rating": 1, "title": "Cold", "body": text, "reviewerNickname": "ines", "createdDate": made}
        self.reviews[name] = {"type": "customerReviews", "id": name, "attributes": {**said, "territory": "DEU"}}
        return name

    def respond(self, review: str, text: str) -> str:
        """As a person does in App Store Connect; the one before is replaced."""
        name, now = f"r-{review}", datetime.now(UTC).isoformat()
        said = {"responseBody": text, "lastModifiedDate": now, "state": "PENDING_PUBLISH"}
        self.responses[name] = {"type": "customerReviewResponses", "id": name, "attributes": said}
        pointer = {"data": {"type": "customerReviewResponses", "id": name}}
        self.reviews[review]["relationships"] = {"response": pointer}
        return name

    def answer(self, call: Call) -> Answer:
        status, said, more = self._answer(call)
        self.calls.append((call, status, said))
        return status, said, more

    def _answer(self, call: Call) -> Answer:
        try:
            self._let_in(call)
        except jwt.PyJWTError as error:
            return 401, {"errors": [{"status": "401", "code": "NOT_AUTHORIZED", "detail": f"{error}"}]}, {}
        if self.refusal:
            return self.refusal
        if call.method == "POST":
            return self._post(call.json()["data"])
        if call.path == LIST:
            return self._list(call)
        kind, name = call.path.split("/")[2:]
        found = (self.reviews if kind == "customerReviews" else self.responses).get(name)
        if found is None:
            return 404, {"errors": [{"status": "404", "code": "NOT_FOUND"}]}, {}
        beside = [self.responses[f"r-{name}"]] if f"r-{name}" in self.responses else []
        return 200, {"data": found, "included": beside, "links": {"self": call.path}}, {}

    def _let_in(self, call: Call) -> None:
        """https://developer.apple.com/documentation/appstoreconnectapi/generating-tokens-for-api-requests"""
        token = call.headers["authorization"].removeprefix("Bearer ")
        head = jwt.get_unverified_header(token)
        if head != {"alg": "ES256", "kid": "2X9R4HXF34", "typ": "JWT"}:
            raise jwt.InvalidTokenError(f"{head}")
        claims = jwt.decode(
            token,
            KEY.public_key(),
            ["ES256"],
            audience="appstoreconnect-v1",
            issuer=None if self.individual else ISSUER,
            options={"require": ["exp", "iat", "aud"]},
        )
        if claims["exp"] - claims["iat"] > 1200 or (self.individual and claims.get("sub") != "user"):
            raise jwt.InvalidTokenError(f"{claims}")

    def _post(self, data: dict[str, Any]) -> Answer:
        review = data["relationships"]["review"]["data"]["id"]
        if review not in self.reviews:
            return 409, {"errors": [{"status": "409", "code": "ENTITY_ERROR.RELATIONSHIP.INVALID"}]}, {}
        name = self.respond(review, data["attributes"]["responseBody"])
        if self.lose:
            self.lose = False
            return 201, None, {}
        return 201, {"data": self.responses[name], "links": {"self": ""}}, {}

    def _list(self, call: Call) -> Answer:
        found = sorted(self.reviews.values(), key=lambda one: one["attributes"]["createdDate"], reverse=True)
        start = int(call.query.get("cursor", "0"))
        data = found[start : start + self.page]
        beside = [self.responses[f"r-{one['id']}"] for one in data if f"r-{one['id']}" in self.responses]
        links = {"self": f"{self.address}{LIST}"}
        if start + self.page < len(found):
            links["next"] = f"{self.address}{LIST}?cursor={start + self.page}&limit=200&include=response"
        return 200, {"data": data, "included": beside, "links": links, "meta": {}}, {}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def account(store: Store) -> Iterator[AppStoreAccount]:
    with serving(store.answer) as address:
        store.address = address
        yield built(address)


def built(address: str, **other: object) -> AppStoreAccount:
    credentials = AppStoreCredentials.model_validate({**GIVEN, **other})
    return AppStoreAccount(AppStoreSource(app="100200300", api_url=address), credentials, HTTP)


def seen(account: AppStoreAccount, name: str) -> Mention:
    return next(one for one in account.recheck([name]).edited if one.native_id == name)


def test_every_review_is_brought_once_and_a_persons_response_as_our_own(store: Store, account: AppStoreAccount) -> None:
    old = store.say("long ago", ago=400_000)
    _, cursor = polled(account, None)
    names = [store.say(f"cold {number}", ago=50 - number) for number in range(7)]
    found, cursor = polled(account, cursor)
    assert sorted(one.native_id for one in found) == names
    assert polled(account, cursor)[0] == []
    late = store.respond(old, "We have mended it.")
    store.page = 200
    (response,), cursor = polled(account, cursor)
    assert (response.native_id, response.own, response.parent_id, response.conversation_id) == (late, True, old, old)
    store.respond(old, "We have mended it twice.")
    (response,), cursor = polled(account, cursor)
    assert response.text == "We have mended it twice."
    assert polled(account, cursor)[0] == []


def test_a_response_is_written_once_though_its_receipt_is_lost(store: Store, account: AppStoreAccount) -> None:
    review = seen(account, store.say("cold"))
    assert account.find_reply(review, "key") is None
    store.lose = True
    with pytest.raises(UnknownOutcomeError):
        account.reply(review, "We come.", "key")
    receipt = account.find_reply(review, "key")
    assert receipt is not None
    assert store.responses[receipt.id]["attributes"]["responseBody"] == "We come."
    with pytest.raises(RejectedError, match="already"):
        account.reply(review, "We come.", "key")
    assert [call.method for call, _, _ in store.calls].count("POST") == 1


def test_a_persons_response_is_not_replaced_by_ours(store: Store, account: AppStoreAccount) -> None:
    review = seen(account, store.say("cold"))
    name = store.respond(review.native_id, "A person was faster.")
    with pytest.raises(RejectedError, match="already"):
        account.reply(review, "We come.", "key")
    assert store.responses[name]["attributes"]["responseBody"] == "A person was faster."
    with pytest.raises(RejectedError, match="takes a reply"):
        account.reply(seen(account, name), "We come.", "key")


def test_what_cannot_be_answered_is_said(store: Store, account: AppStoreAccount) -> None:
    review = seen(account, store.say("cold"))
    assert account.reply(review, "x" * 5_970, "key").id == f"r-{review.native_id}"
    with pytest.raises(RejectedError, match="5,970"):
        account.reply(review, "x" * 5_971, "key")
    del store.reviews[review.native_id]
    with pytest.raises(RejectedError):
        account.reply(review, "We come.", "key")


def test_reviews_and_responses_that_were_removed_are_gone(store: Store, account: AppStoreAccount) -> None:
    kept, gone = store.say("cold"), store.say("colder")
    response, lost = store.respond(kept, "We come."), store.respond(gone, "We come too.")
    del store.reviews[gone], store.responses[lost]
    found = account.recheck([kept, gone, response, lost])
    assert sorted(one.native_id for one in found.gone) == sorted([gone, lost])
    assert {one.native_id for one in found.edited} == {kept, response}


def test_a_response_that_is_named_and_not_shown_is_not_taken_for_none(store: Store, account: AppStoreAccount) -> None:
    review = seen(account, store.say("cold"))
    store.respond(review.native_id, "A person was faster.")
    store.responses.clear()
    with pytest.raises(UnavailableError, match="whole"):
        account.reply(review, "We come.", "key")


def test_a_used_up_hour_is_waited_for(store: Store, account: AppStoreAccount) -> None:
    cursor = account.poll(None).cursor
    refused = {"errors": [{"status": "429", "code": "RATE_LIMIT_EXCEEDED"}]}
    store.refusal = 429, refused, {"X-Rate-Limit": "user-hour-lim:3500;user-hour-rem:0;"}
    with pytest.raises(UnavailableError):
        account.poll(cursor)
    assert account.check().state is TokenState.LIMITED


def test_a_key_is_tried_out(store: Store, account: AppStoreAccount) -> None:
    assert account.check().state is TokenState.OK
    assert built(store.address, key_id="OTHER").check().state is TokenState.REVOKED
    assert built(store.address, issuer_id="somebody-else").check().state is TokenState.REVOKED
    store.individual = True
    assert built(store.address, issuer_id=None).check().state is TokenState.OK
    store.refusal = 403, {"errors": [{"status": "403", "code": "FORBIDDEN_ERROR"}]}, {}
    assert built(store.address, issuer_id=None).check().state is TokenState.SCOPE_MISSING
    assert built(store.address, private_key="not a key").check().state is TokenState.REVOKED
    with pytest.raises(MisconfiguredError, match="PEM"):
        built(store.address, private_key="not a key").poll(account.poll(None).cursor)


def test_what_is_asked_and_what_this_store_says_is_as_documented(store: Store, account: AppStoreAccount) -> None:
    _, cursor = polled(account, None)
    name = store.say("cold")
    polled(account, cursor)
    receipt = account.reply(seen(account, name), "We come.", "key")
    account.recheck([receipt.id, "0000-none"])
    account.check()
    assert hold(store.calls, CALLS) == {f"{one.method} {one.path}" for one in CALLS}
