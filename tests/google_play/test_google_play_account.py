"""Our app in a Google Play that keeps state: whom it lets in, what a poll brings, and that a review has one reply."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.core.delivery import Delivery
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.health import TokenState
from connectors.core.models import Mention
from connectors.google_play.account import GooglePlayAccount, GooglePlayCredentials
from connectors.google_play.connector import GooglePlay, GooglePlaySource
from connectors.http import HttpClient
from tests.described import NUMBER, TEXT, Described, const, exact, hold, many, shape
from tests.polled import polled
from tests.standin import Answer, Call, serving

HTTP = HttpClient(allow_private=True)
APP, SERVICE = "example.acme.heating", "hailback@acme.iam.example"
LIST = f"/androidpublisher/v3/applications/{APP}/reviews"

TIME = exact("seconds", seconds={"type": "string", "pattern": "^[0-9]+$"}, nanos=NUMBER)
USER = exact("text lastModified starRating", text=TEXT, lastModified=TIME, starRating=NUMBER, reviewerLanguage=TEXT)
COMMENT = exact(userComment=USER, developerComment=exact("text lastModified", text=TEXT, lastModified=TIME))
REVIEW = exact("reviewId comments", reviewId=TEXT, authorName=TEXT, comments=many(COMMENT))
PAGES = exact(nextPageToken=TEXT, previousPageToken=TEXT)
RESULT = exact("replyText lastEdited", replyText=TEXT, lastEdited=TIME)
GRANT = exact("grant_type assertion", grant_type=const("urn:ietf:params:oauth:grant-type:jwt-bearer"), assertion=TEXT)
ROOT = "/androidpublisher/v3/applications/{packageName}/reviews"
CALLS = [
    Described("POST", "/token", body=GRANT, answer=shape("access_token expires_in")),
    Described(
        "GET",
        ROOT,
        {"maxResults", "token", "startIndex", "translationLanguage"},
        answer=exact(reviews=many(REVIEW), tokenPagination=PAGES),
    ),
    Described("GET", f"{ROOT}/{{reviewId}}", {"translationLanguage"}, answer=REVIEW),
    Described(
        "POST",
        f"{ROOT}/{{reviewId}}:reply",
        body=exact("replyText", replyText={**TEXT, "maxLength": 350}),
        answer=exact("result", result=RESULT),
    ),
]
"""Of https://developers.google.com/android-publisher/api-ref/rest/v3/reviews and
https://developers.google.com/identity/protocols/oauth2/service-account#httprest"""


@cache
def key() -> rsa.RSAPrivateKey:
    """Of our service account; made for this run."""
    return rsa.generate_private_key(65_537, 2048)


@cache
def pem() -> str:
    private, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key().private_bytes(serialization.Encoding.PEM, private, plain).decode()


def stamp(ago: float) -> dict[str, Any]:
    return {"seconds": str(int(time.time() - ago)), "nanos": 417_000_000}


class Store:
    """As much of the API as is called. `lose`: the next reply is taken and its answer lost."""

    def __init__(self) -> None:
        self.reviews: dict[str, dict[str, Any]] = {}
        self.lose = False
        self.refusal: Answer | None = None
        self.page = 2
        self.address = ""
        self.calls: list[tuple[Call, int, object]] = []

    def say(self, text: str, ago: float = 60, name: str | None = None) -> str:
        """A review, or the same one written anew."""
        name = name or f"gp:AOqp{len(self.reviews)}"
        said = {"text": text, "lastModified": stamp(ago), "starRating": 1, "reviewerLanguage": "de"}
        review = self.reviews.setdefault(name, {"reviewId": name, "authorName": "Ines", "comments": []})
        review["comments"] = [{"userComment": said}, *review["comments"][1:]]
        return name

    def respond(self, name: str, text: str) -> None:
        """As a person does in the Play Console; the one before is replaced."""
        ours = {"developerComment": {"text": text, "lastModified": stamp(0)}}
        self.reviews[name]["comments"] = [self.reviews[name]["comments"][0], ours]

    def answer(self, call: Call) -> Answer:
        status, said, more = self._answer(call)
        self.calls.append((call, status, said))
        return status, said, more

    def _answer(self, call: Call) -> Answer:
        if call.path == "/token":
            return self._grant(call.form())
        if call.headers["authorization"] != "Bearer fresh":
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}, {}
        if self.refusal:
            return self.refusal
        if call.path == LIST:
            return self._list(call)
        name, _, verb = call.path.removeprefix(f"{LIST}/").rpartition(":reply")
        found = self.reviews.get(name if call.method == "POST" else verb)
        if found is None:
            return 404, {"error": {"code": 404, "message": "…", "errors": [{"reason": "notFound"}]}}, {}
        if call.method == "GET":
            return 200, found, {}
        self.respond(name, call.json()["replyText"])
        if self.lose:
            self.lose = False
            return 200, None, {}
        return 200, {"result": {"replyText": call.json()["replyText"], "lastEdited": stamp(0)}}, {}

    def _grant(self, form: dict[str, str]) -> Answer:
        """https://developers.google.com/identity/protocols/oauth2/service-account#httprest"""
        try:
            claims = jwt.decode(
                form["assertion"],
                key().public_key(),
                ["RS256"],
                audience=f"{self.address}/token",
                issuer=SERVICE,
                options={"require": ["exp", "iat"]},
            )
        except jwt.PyJWTError:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, {}
        if (
            claims["exp"] - claims["iat"] > 3600
            or claims["scope"] != "https://www.googleapis.com/auth/androidpublisher"
        ):
            return 400, {"error": "invalid_scope"}, {}
        return 200, {"access_token": "fresh", "expires_in": 3599, "token_type": "Bearer"}, {}

    def _list(self, call: Call) -> Answer:
        def changed(one: dict[str, Any]) -> int:
            return int(one["comments"][0]["userComment"]["lastModified"]["seconds"])

        found = sorted(self.reviews.values(), key=changed, reverse=True)
        start = int(call.query.get("token", "0"))
        page: dict[str, Any] = {"reviews": found[start : start + self.page]} if found else {}
        if start + self.page < len(found):
            page["tokenPagination"] = {"nextPageToken": str(start + self.page)}
        return 200, page, {}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def account(store: Store) -> Iterator[GooglePlayAccount]:
    with serving(store.answer) as address:
        store.address = address
        yield built(address, access_token="fresh")


def built(address: str, **other: object) -> GooglePlayAccount:
    settings = GooglePlaySource(app=APP, api_url=address, login_url=f"{address}/token")
    given = {"client_email": SERVICE, "private_key": pem(), **other}
    return GooglePlayAccount(settings, GooglePlayCredentials.model_validate(given), HTTP)


def seen(account: GooglePlayAccount, name: str) -> Mention:
    return next(one for one in account.recheck([name]).edited if one.native_id == name)


def test_every_review_is_brought_once_and_again_when_it_is_rewritten(store: Store, account: GooglePlayAccount) -> None:
    _, cursor = polled(account, None)
    names = [store.say(f"Kalt\tcold {number}", ago=50 - number) for number in range(7)]
    found, cursor = polled(account, cursor)
    assert sorted(one.native_id for one in found) == names
    assert {(one.title, one.language) for one in found} == {("Kalt", "de")}
    assert polled(account, cursor)[0] == []
    store.say("warm by now", ago=0, name=names[3])
    (again,), cursor = polled(account, cursor)
    assert (again.native_id, again.text) == (names[3], "warm by now")
    assert again.version > max(one.version for one in found if one.native_id == names[3])


def test_a_persons_reply_in_the_console_is_our_own(store: Store, account: GooglePlayAccount) -> None:
    _, cursor = polled(account, None)
    name = store.say("cold")
    _, cursor = polled(account, cursor)
    store.respond(name, "We have mended it.")
    (reply,), cursor = polled(account, cursor)
    assert (reply.native_id, reply.own, reply.parent_id) == (f"{name}:reply", True, name)
    assert polled(account, cursor)[0] == []


def test_a_reply_is_written_once_though_its_receipt_is_lost(store: Store, account: GooglePlayAccount) -> None:
    review = seen(account, store.say("cold"))
    assert account.find_reply(review, "key") is None
    store.lose = True
    with pytest.raises(UnknownOutcomeError):
        account.reply(review, "We come.", "key")
    receipt = account.find_reply(review, "key")
    assert receipt is not None
    assert receipt.id == f"{review.native_id}:reply"
    with pytest.raises(RejectedError, match="already"):
        account.reply(review, "We come.", "key")
    assert sum(call.path.endswith(":reply") for call, _, _ in store.calls) == 1


def test_a_persons_reply_is_not_replaced_by_ours(store: Store, account: GooglePlayAccount) -> None:
    review = seen(account, store.say("cold"))
    store.respond(review.native_id, "A person was faster.")
    with pytest.raises(RejectedError, match="already"):
        account.reply(review, "We come.", "key")
    assert store.reviews[review.native_id]["comments"][1]["developerComment"]["text"] == "A person was faster."


def test_what_cannot_be_answered_is_said(store: Store, account: GooglePlayAccount) -> None:
    review = seen(account, store.say("cold"))
    with pytest.raises(RejectedError, match="350"):
        account.reply(review, "x" * 351, "key")
    del store.reviews[review.native_id]
    with pytest.raises(RejectedError):
        account.reply(review, "We come.", "key")
    assert not any(call.method == "POST" for call, _, _ in store.calls)


def test_a_review_that_is_not_shown_may_be_too_old_and_a_reply_that_is_not_is_gone(
    store: Store, account: GooglePlayAccount
) -> None:
    kept = store.say("cold")
    store.respond(kept, "We come.")
    found = account.recheck([kept, f"{kept}:reply", "gp:none"])
    assert list(found.gone) == []
    assert {one.native_id for one in found.edited} == {kept, f"{kept}:reply"}
    del store.reviews[kept]["comments"][1]
    assert [one.native_id for one in account.recheck([kept, f"{kept}:reply", "gp:none"]).gone] == [f"{kept}:reply"]


@pytest.mark.parametrize(
    "refusal",
    [
        (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}),
        (403, {"error": {"code": 403, "errors": [{"reason": "quotaExceeded", "domain": "usageLimits"}]}}),
    ],
)
def test_a_used_up_quota_is_waited_for(
    store: Store, account: GooglePlayAccount, refusal: tuple[int, dict[str, Any]]
) -> None:
    cursor = account.poll(None).cursor
    store.refusal = (*refusal, {})
    with pytest.raises(UnavailableError):
        account.poll(cursor)
    assert account.check().state is TokenState.LIMITED


def test_the_token_is_made_from_the_key_and_tried_out(store: Store, account: GooglePlayAccount) -> None:
    now = int(time.time() * 1000)
    fresh = built(store.address)
    assert fresh.refresh_due(now)
    renewed = GooglePlayCredentials.model_validate(fresh.refresh(now))
    assert not renewed.due(now)
    assert renewed.due(now + 3_500_000)
    assert built(store.address, access_token="fresh").check().state is TokenState.OK
    assert built(store.address, access_token="old").check().state is TokenState.EXPIRED
    assert built(store.address).check().state is TokenState.EXPIRED
    with pytest.raises(MisconfiguredError) as caught:
        built(store.address, client_email="somebody@else.example").refresh(now)
    assert caught.value.token is TokenState.REVOKED
    with pytest.raises(MisconfiguredError, match="PEM"):
        built(store.address, private_key="not a key").refresh(now)
    store.refusal = 403, {"error": {"code": 403, "errors": [{"reason": "permissionDenied"}]}}, {}
    assert account.check().state is TokenState.SCOPE_MISSING


def test_what_is_asked_and_what_this_store_says_is_as_documented(store: Store, account: GooglePlayAccount) -> None:
    account.refresh(int(time.time() * 1000))
    _, cursor = polled(account, None)
    name = store.say("cold")
    store.say("colder")
    store.say("coldest")
    polled(account, cursor)
    account.reply(seen(account, name), "We come.", "key")
    account.check()
    assert hold(store.calls, CALLS, login="/token") == {f"{one.method} {one.path}" for one in CALLS}


def parsed(said: object) -> list[Any]:
    return list(GooglePlay.for_parse().parse(Delivery({}, json.dumps(said).encode())))


def told(text: str, seconds: int, **more: object) -> dict[str, Any]:
    return {"userComment": {"text": text, "lastModified": {"seconds": seconds}, **more}}


def test_words_that_were_translated_for_us_stand_as_they_were_written() -> None:
    comment = told("Cold\tIt is cold", 1_794_989_523, originalText="Kalt\tEs ist kalt")
    (review,) = parsed({"reviewId": "gp:1", "comments": [comment]})
    assert (review.title, review.text, review.author.name) == ("Kalt", "Es ist kalt", None)


def test_the_latest_of_several_comments_is_what_the_review_says() -> None:
    comments = [
        told("warm", 1_794_990_000),
        told("cold", 1_794_989_000),
        {"developerComment": {"text": "We come.", "lastModified": {"seconds": "1794989500"}}},
    ]
    review, reply = sorted(parsed({"reviews": [{"reviewId": "gp:1", "comments": comments}]}), key=lambda one: one.own)
    assert (review.text, review.version) == ("warm", 1_794_990_000_000)
    assert (reply.native_id, reply.conversation_id, reply.version) == ("gp:1:reply", "gp:1", 1_794_989_500_000)


def test_an_app_without_reviews_this_week_is_answered_with_nothing() -> None:
    assert parsed({}) == []
    assert parsed({"tokenPagination": {}}) == []
