"""A stand-in for each place where people talk, all at once, and the stack that listens to them.

Each keeps state, as the tests in its vendor's own folder want it; here the deployed machine is its only client.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.core import door
from tests.amazon_connect.contract import INSTANCE
from tests.amazon_connect.instance import FLOW, Instance
from tests.amazon_connect.instance import SECRET as KEY
from tests.app_store import test_app_store_account as app_store
from tests.bluesky.atmosphere import PASSWORD, Atmosphere
from tests.bluesky.contract import DID, HANDLE
from tests.google_play import test_google_play_account as google_play
from tests.instagram import photos
from tests.mastodon import fediverse
from tests.reddit import test_reddit_account as reddit
from tests.slack import test_slack_account as slack
from tests.standin import Answer, Call, serving
from tests.threads import profile
from tests.trustpilot import test_trustpilot_account as trustpilot
from tests.twilio.contract import ACCOUNT, OURS
from tests.twilio.exchange import Exchange
from tests.webhook import test_webhook_account as webhook
from tests.youtube import test_youtube_account as youtube

SECRETS = "hailback/places/"
SHOP = "shop.acme.example"
MAPPING = {
    "Events": "data.comments[]",
    "Id": "uuid",
    "Conversation": "join('-', ['order', to_string(order.number)])",
    "Text": "body",
    "Author": {"Id": "customer.id", "Name": "customer.full_name"},
    "CreatedAt": "at",
    "Private": "visibility != 'public'",
}
WORD = "a word for handshakes"


class Renewed:
    """A place that takes the access token which it granted last, and none from before."""

    def __init__(self, answer: Callable[[Call], Answer], first: str = "invented") -> None:
        self._answer, self._first, self.granted = answer, first, False

    def answer(self, call: Call) -> Answer:
        given = call.headers.get("authorization", "")
        if given.startswith("Bearer "):
            right = given == f"Bearer {'fresh' if self.granted else self._first}"
            call = replace(call, headers={**call.headers, "authorization": f"Bearer {self._first if right else '-'}"})
        status, said, more = self._answer(call)
        self.granted |= isinstance(said, dict) and said.get("access_token") == "fresh"
        return status, said, more


@dataclass
class Places:
    """What is said there. `resources`: the fields of each source, by its connector; `credentials`: its secret."""

    amazon_connect: Instance = field(default_factory=lambda: Instance(clock=time.time()))
    app_store: app_store.Store = field(default_factory=app_store.Store)
    bluesky: Atmosphere = field(default_factory=lambda: Atmosphere(clock=time.time()))
    google_play: google_play.Store = field(default_factory=google_play.Store)
    instagram: photos.Photos = field(default_factory=photos.Photos)
    mastodon: fediverse.Fediverse = field(default_factory=lambda: fediverse.Fediverse(clock=time.time(), left=10_000))
    reddit: reddit.Place = field(default_factory=reddit.Place)
    slack: slack.Workspace = field(default_factory=slack.Workspace)
    threads: profile.Profile = field(default_factory=profile.Profile)
    trustpilot: trustpilot.Place = field(default_factory=trustpilot.Place)
    twilio: Exchange = field(default_factory=lambda: Exchange(clock=time.time()))
    webhook: webhook.Shop = field(default_factory=webhook.Shop)
    youtube: youtube.Channel = field(default_factory=youtube.Channel)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    credentials: dict[str, dict[str, Any]] = field(default_factory=dict)
    verification: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def serve(self) -> Iterator[None]:
        with ExitStack() as exits:
            for one in (self.amazon_connect, self.twilio, self.mastodon, self.bluesky):
                exits.enter_context(one.serve())
            at: dict[str, str] = {}
            for name in ("app_store", "google_play", "instagram", "slack", "trustpilot", "webhook"):
                at[name] = exits.enter_context(serving(getattr(self, name).answer))
            for name in ("reddit", "threads", "youtube"):
                at[name] = exits.enter_context(serving(Renewed(getattr(self, name).answer).answer))
            self.google_play.address = at["google_play"]
            self.resources = self._resources(at)
            self.credentials = _credentials()
            for name in self.resources:
                rules = door.load(name)
                if rules and "signature" in rules:
                    self.verification[name] = door.fresh_secret(rules)
            yield

    def _resources(self, at: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Those that do not tell, and Threads, are asked every five seconds."""
        google = {"ApiUrl": at["google_play"], "LoginUrl": f"{at['google_play']}/token"}
        entry = {"ApiUrl": at["reddit"], "LoginUrl": f"{at['reddit']}/login"}
        told: dict[str, dict[str, Any]] = {
            "slack": {"Team": slack.TEAM, "Account": [slack.OURS], "ApiUrl": at["slack"]},
            "twilio": {"AccountSid": ACCOUNT, "Account": OURS, "ApiUrl": self.twilio.address},
            "webhook": {"Authority": SHOP, "Mapping": MAPPING, "ReplyUrl": f"{at['webhook']}/answers"},
            "instagram": {"Account": [photos.ME, photos.NAME], "ApiUrl": f"{at['instagram']}/v25.0"},
            "trustpilot": {"BusinessUnit": trustpilot.UNIT, "ApiUrl": at["trustpilot"]},
            "amazon_connect": {"Instance": INSTANCE, "TaskFlow": FLOW, "ApiUrl": self.amazon_connect.address},
        }
        asked: dict[str, dict[str, Any]] = {
            "threads": {"Account": [profile.NAME, profile.ME], "ApiUrl": f"{at['threads']}/v1.0"},
            "mastodon": {"Account": ["acme", fediverse.ME], "ApiUrl": self.mastodon.address},
            "bluesky": {"Account": [HANDLE, DID], "ApiUrl": self.bluesky.address},
            "youtube": {"Account": youtube.OURS, "ApiUrl": at["youtube"], "LoginUrl": f"{at['youtube']}/token"},
            "reddit": {"Account": "acme_support", "Subreddits": "heating", **entry},
            "app_store": {"App": "100200300", "ApiUrl": at["app_store"]},
            "google_play": {"App": google_play.APP, **google},
        }
        return {**told, **{name: {**fields, "Poll": "5s"} for name, fields in asked.items()}}

    def template(self, configure: str) -> str:
        """Of the stack with all of them. Its outputs are the addresses of those that tell."""
        resources, outputs = {}, {}
        for name, fields in self.resources.items():
            fixed = {"ServiceToken": configure, "ServiceTimeout": 120, "Connector": name, "Secret": f"{SECRETS}{name}"}
            resources[logical(name)] = {"Type": "Custom::Source", "Properties": {**fixed, **fields}}
            if door.load(name):
                outputs[logical(name)] = {"Value": {"Fn::GetAtt": [logical(name), "WebhookUrl"]}}
        said = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources, "Outputs": outputs}
        return json.dumps(said)

    def outgoing(self, name: str) -> object:
        """What was said at a place, with what we answered there."""
        kept: dict[str, Callable[[], object]] = {
            "amazon_connect": lambda: [one["said"]["Description"] for one in self.amazon_connect.tasks.values()],
            "app_store": lambda: self.app_store.responses,
            "bluesky": lambda: self.bluesky.posts,
            "google_play": lambda: self.google_play.reviews,
            "instagram": lambda: self.instagram.things,
            "mastodon": lambda: self.mastodon.posts,
            "reddit": lambda: self.reddit.things,
            "slack": lambda: self.slack.messages,
            "threads": lambda: self.threads.posts,
            "trustpilot": lambda: self.trustpilot.reviews,
            "twilio": lambda: self.twilio.things["messages"],
            "webhook": lambda: [one["said"] for one in self.webhook.kept.values()],
            "youtube": lambda: [one["snippet"]["textOriginal"] for one in self.youtube.comments.values()],
        }
        return kept[name]()


def logical(name: str) -> str:
    """The name of a source in the template."""
    return name.title().replace("_", "")


def _credentials() -> dict[str, dict[str, Any]]:
    """As administrators write them. No access token where we make it ourselves, except the first that Meta wants."""
    app = {"client_id": "app", "client_secret": "s3"}
    return {
        "amazon_connect": {"access_key_id": "AKIAINVENTED", "secret_access_key": KEY},
        "app_store": app_store.GIVEN,
        "bluesky": {"identifier": HANDLE, "app_password": PASSWORD},
        "google_play": {"client_email": google_play.SERVICE, "private_key": google_play.pem()},
        "instagram": {"access_token": photos.TOKEN},
        "mastodon": {"access_token": fediverse.TOKEN},
        "reddit": {**app, "refresh_token": "r"},
        "slack": {"bot_token": "invented"},
        "threads": {"access_token": profile.TOKEN},
        "trustpilot": {**app, "business_user": trustpilot.USER},
        "twilio": {"api_key": "SK1", "api_secret": "s3"},
        "webhook": {"reply_secret": webhook.SECRET},
        "youtube": {**app, "refresh_token": "r"},
    }
