"""What the tool reads from templates before it deploys them."""

from __future__ import annotations

from pathlib import Path

from connectors.tool.templates import declared_parameters, wanted_secrets
from connectors.tool.venvs import CHECKOUT

TEMPLATE = """
Parameters:
  ForumSecret: {Type: String, Default: hailback/forum}
  Bare: {Type: String}
Resources:
  Forum:
    Type: Custom::Source
    Properties: {Connector: discourse, Secret: !Ref ForumSecret, Account: !Split [',', !Ref Bare]}
  Other:
    Type: Custom::Source
    Properties: {Connector: discourse, Secret: hailback/other}
  Unknown:
    Type: Custom::Source
    Properties: {Connector: discourse, Secret: !Sub 'hailback/${Bare}'}
  Tracker:
    Type: Custom::System
    Properties: {Connector: roundup, Secret: hailback/tracker}
  Care: {Type: AWS::SNS::Topic}
Outputs:
  Url: {Value: !GetAtt Forum.WebhookUrl}
"""


def test_secrets_are_named_by_kind_with_their_defaults(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(TEMPLATE)
    found = wanted_secrets(file)
    assert found.sources == ("hailback/forum/verification", "hailback/other/verification")
    assert found.systems == ("hailback/tracker/credentials",)
    assert declared_parameters(file) == {"ForumSecret", "Bare"}


def test_the_templates_in_the_repository_can_be_read() -> None:
    routes = wanted_secrets(CHECKOUT / "infra" / "routes.yaml")
    assert routes.sources
    assert routes.systems
    assert wanted_secrets(CHECKOUT / "infra" / "local" / "extras.yaml").sources
    assert "TextDays" in declared_parameters(CHECKOUT / "template.yaml")
