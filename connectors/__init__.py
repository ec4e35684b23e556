"""The registry: connector name → where its classes live. Nothing is imported until it is asked for.

To add a connector, add its folder and one line here; CONTRIBUTING.md walks through it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from connectors.core.ports import Receiver, RecordSystem, SourcePoller, SourceReplier

SOURCES: dict[str, str] = {
    "amazon_connect": "connectors.amazon_connect.connector:AmazonConnect",
    "app_store": "connectors.app_store.connector:AppStore",
    "bluesky": "connectors.bluesky.connector:Bluesky",
    "discourse": "connectors.discourse.connector:Discourse",
    "facebook": "connectors.facebook.connector:Facebook",
    "google_play": "connectors.google_play.connector:GooglePlay",
    "instagram": "connectors.instagram.connector:Instagram",
    "mastodon": "connectors.mastodon.connector:Mastodon",
    "reddit": "connectors.reddit.connector:Reddit",
    "slack": "connectors.slack.connector:Slack",
    "trustpilot": "connectors.trustpilot.connector:Trustpilot",
    "twilio": "connectors.twilio.connector:Twilio",
    "threads": "connectors.threads.connector:Threads",
    "webhook": "connectors.webhook.connector:Webhook",
    "x": "connectors.x.connector:X",
    "youtube": "connectors.youtube.connector:YouTube",
}
"""Places where people talk."""

SYSTEMS: dict[str, str] = {
    "roundup": "connectors.roundup.connector:Roundup",
    "zendesk": "connectors.zendesk.connector:Zendesk",
}
"""CRMs and ticketing systems that receive cases."""

REPLIERS: dict[str, str] = {
    "amazon_connect": "connectors.amazon_connect.account:AmazonConnectAccount",
    "app_store": "connectors.app_store.account:AppStoreAccount",
    "bluesky": "connectors.bluesky.account:BlueskyAccount",
    "discourse": "connectors.discourse.replies:DiscourseReplier",
    "facebook": "connectors.facebook.account:FacebookAccount",
    "google_play": "connectors.google_play.account:GooglePlayAccount",
    "instagram": "connectors.instagram.account:InstagramAccount",
    "mastodon": "connectors.mastodon.account:MastodonAccount",
    "reddit": "connectors.reddit.account:RedditAccount",
    "slack": "connectors.slack.account:SlackAccount",
    "trustpilot": "connectors.trustpilot.account:TrustpilotAccount",
    "twilio": "connectors.twilio.account:TwilioAccount",
    "threads": "connectors.threads.account:ThreadsAccount",
    "webhook": "connectors.webhook.account:WebhookAccount",
    "x": "connectors.x.account:XAccount",
    "youtube": "connectors.youtube.account:YouTubeAccount",
}
"""Places that take an answer."""

POLLERS: dict[str, str] = {
    "amazon_connect": "connectors.amazon_connect.account:AmazonConnectAccount",
    "app_store": "connectors.app_store.account:AppStoreAccount",
    "bluesky": "connectors.bluesky.account:BlueskyAccount",
    "discourse": "connectors.discourse.polling:DiscoursePoller",
    "facebook": "connectors.facebook.account:FacebookAccount",
    "google_play": "connectors.google_play.account:GooglePlayAccount",
    "instagram": "connectors.instagram.account:InstagramAccount",
    "mastodon": "connectors.mastodon.account:MastodonAccount",
    "reddit": "connectors.reddit.account:RedditAccount",
    "slack": "connectors.slack.account:SlackAccount",
    "trustpilot": "connectors.trustpilot.account:TrustpilotAccount",
    "twilio": "connectors.twilio.account:TwilioAccount",
    "threads": "connectors.threads.account:ThreadsAccount",
    "x": "connectors.x.account:XAccount",
    "youtube": "connectors.youtube.account:YouTubeAccount",
}
"""Sources that are asked: alone, or beside their webhook to find what it missed."""

EVENT_BUSES: dict[str, str] = {
    "aws.connect": "amazon_connect",
}
"""Who delivers by EventBridge, straight into the inbox: an event's `source` → the connector that reads it. A name that
ends with `/` or `*` stands for all that begin so, such as a partner's (`aws.partner/example.com/`)."""


def source(name: str) -> type[Receiver]:
    """The connector class of a source. Raises KeyError for a name that is not registered."""
    return cast("type[Receiver]", _load(SOURCES[name]))


def system(name: str) -> type[RecordSystem]:
    """The connector class of a system of record. Raises KeyError for a name that is not registered."""
    return cast("type[RecordSystem]", _load(SYSTEMS[name]))


def receiver(name: str) -> type[Receiver]:
    """What reads the deliveries of a source, or of a system of record that pushes. Raises KeyError."""
    kind = _load(SOURCES.get(name) or SYSTEMS[name])
    if not hasattr(kind, "parse"):
        raise KeyError(name)
    return cast("type[Receiver]", kind)


def replier(name: str) -> type[SourceReplier]:
    """What answers at a source. Raises KeyError for one that takes no answers."""
    return cast("type[SourceReplier]", _load(REPLIERS[name]))


def poller(name: str) -> type[SourcePoller]:
    """What asks a source. Raises KeyError for one that is never asked."""
    return cast("type[SourcePoller]", _load(POLLERS[name]))


def of_bus(name: str) -> str | None:
    """The connector that reads the events of an EventBridge `source`; None where there is none."""
    if name in EVENT_BUSES:
        return EVENT_BUSES[name]
    beginnings = [key for key in EVENT_BUSES if key[-1] in "/*" and name.startswith(key.removesuffix("*"))]
    return EVENT_BUSES[max(beginnings, key=len)] if beginnings else None


def _load(target: str) -> object:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
