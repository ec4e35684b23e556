"""The doctor says whom nobody hears: topics of the plan in force without a subscription, or that are gone."""

from __future__ import annotations

import json

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends
from typer.testing import CliRunner

from connectors.core.plan import Plan, Route, SystemConfig
from connectors.tool import doctor as command
from connectors.tool.main import app
from tests.tool.conftest import TRACKER, Small

HOME = "arn:aws:sns:eu-central-1:123456789012:hailback-"


@pytest.fixture
def looked(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setattr(command, "target", lambda *_: small.deployment)
    systems = {TRACKER: SystemConfig.of(TRACKER, "roundup", "hailback/tracker", {}, 60)}
    routes = (
        Route(name="vip", when={"intent": ["idea"]}, systems=(TRACKER,), topics=(f"{HOME}care", f"{HOME}boss")),
        Route(name="thanks", when={"intent": ["praise"]}, opens=False),
        Route(name="all", systems=(TRACKER,), topics=(f"{HOME}care",)),
    )
    small.plan(Plan.of(routes, systems))
    return small


def hear(topic: str) -> None:
    known = sns_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].get_topic(f"{HOME}{topic}")
    known.subscriptions_confimed = 1  # moto counts none


def said() -> list[str]:
    found: list[str] = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["wrong"]
    return [one for one in found if "nobody is told" in one]


def test_a_route_is_named_until_one_of_its_topics_is_heard(looked: Small) -> None:
    boto3.client("sns").create_topic(Name="hailback-care")
    unheard, gone = f"{HOME}care has no confirmed subscription: subscribe somebody", f"{HOME}boss does not exist"
    assert said() == [
        f"nobody is told of cases of vip: {unheard}; {gone}",
        f"nobody is told of cases of all: {unheard}",
    ]
    boto3.client("sns").create_topic(Name="hailback-boss")
    hear("boss")
    assert said() == [f"nobody is told of cases of all: {unheard}"]
    hear("care")
    assert said() == []


def test_a_stand_by_that_nobody_hears_is_shown_and_a_counting_route_says_so(looked: Small) -> None:
    for name in ("care", "boss"):
        boto3.client("sns").create_topic(Name=f"hailback-{name}")
    hear("care")
    shown = CliRunner().invoke(app, ["doctor"]).output
    assert shown.startswith("all well")
    assert f"{HOME}boss: nobody hears it" in shown
    assert "thanks: counted" in shown
