"""An answer goes to the receiver once, signed so that it can be told from a stranger's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.core.delivery import Request
from connectors.core.door import load, verify
from connectors.core.errors import MisconfiguredError, RejectedError, UnavailableError, UnknownOutcomeError
from connectors.core.models import Author, Mention
from connectors.http import HttpClient
from connectors.webhook.account import WebhookAccount, WebhookCredentials
from connectors.webhook.connector import WebhookSource
from tests.standin import Answer, Call, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MENTION = Mention(
    connector="webhook",
    authority="shop.acme.example",
    native_id="c-17",
    conversation_id="order-9",
    author=Author(native_id="u-81"),
    url="https://shop.acme.example/orders/9",
    reply_capability="allowed",
)


class Shop:
    """A receiver as the README wants it. `lose`: the next answer is kept and its receipt lost."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, object]] = {}
        self.asked: list[Call] = []
        self.lose, self.refusal = False, 0

    def answer(self, call: Call) -> Answer:
        self.asked.append(call)
        request = Request(call.method, call.headers, call.body)
        if not verify(load("webhook") or {}, request, [SECRET]):
            return 401, {}, {}
        if self.refusal:
            return self.refusal, {}, {"Retry-After": "30"}
        key = call.headers["idempotency-key"]
        self.kept.setdefault(key, {"id": f"c-{100 + len(self.kept)}", "said": call.json()})
        if self.lose:
            self.lose = False
            return 200, None, {}
        return 201, {"id": self.kept[key]["id"], "url": f"https://shop.acme.example/{self.kept[key]['id']}"}, {}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def address(shop: Shop) -> Iterator[str]:
    with serving(shop.answer) as base:
        yield f"{base}/answers"


def account(address: str | None, secret: str = SECRET) -> WebhookAccount:
    settings = WebhookSource(authority="shop.acme.example", reply_url=address)
    credentials = WebhookCredentials.model_validate({"reply_secret": secret})
    return WebhookAccount(settings, credentials, HttpClient(allow_private=True))


def test_an_answer_comes_with_its_key_and_what_it_answers(shop: Shop, address: str) -> None:
    receipt = account(address).reply(MENTION, "We come ☂.", "key-1")
    assert (receipt.id, receipt.url) == ("c-100", "https://shop.acme.example/c-100")
    about = {"id": "c-17", "conversation": "order-9", "url": MENTION.url, "author": "u-81"}
    assert shop.kept["key-1"]["said"] == {"key": "key-1", "text": "We come ☂.", "mention": about}
    assert shop.asked[0].headers["webhook-id"] == "key-1"


def test_an_answer_whose_receipt_is_lost_becomes_no_second(shop: Shop, address: str) -> None:
    shop.lose = True
    with pytest.raises(UnknownOutcomeError):
        account(address).reply(MENTION, "We come.", "key-1")
    assert account(address).find_reply(MENTION, "key-1") is None
    assert account(address).reply(MENTION, "We come.", "key-1").id == "c-100"
    assert len(shop.kept) == 1


def test_what_cannot_be_handed_over_says_why(shop: Shop, address: str) -> None:
    with pytest.raises(RejectedError, match="ReplyUrl"):
        account(None).reply(MENTION, "We come.", "key-1")
    with pytest.raises(MisconfiguredError, match="whsec_"):
        account(address, "a plain word").reply(MENTION, "We come.", "key-1")
    assert shop.asked == []
    with pytest.raises(MisconfiguredError):
        account(address, "whsec_b3RoZXJvdGhlcm90aGVy").reply(MENTION, "We come.", "key-1")
    shop.refusal = 429
    with pytest.raises(UnavailableError) as caught:
        account(address).reply(MENTION, "We come.", "key-1")
    assert caught.value.retry_after == 30
    shop.refusal = 422
    with pytest.raises(RejectedError):
        account(address).reply(MENTION, "We come.", "key-1")


def test_an_address_inside_the_company_is_refused_unless_that_is_allowed(address: str) -> None:
    settings = WebhookSource(authority="shop.acme.example", reply_url=address)
    credentials = WebhookCredentials.model_validate({"reply_secret": SECRET})
    with pytest.raises(MisconfiguredError):
        WebhookAccount(settings, credentials, HttpClient()).reply(MENTION, "We come.", "key-1")
