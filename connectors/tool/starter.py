"""An administrators' template for the sources and systems that were chosen: small, commented, ready to deploy. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import connectors
from connectors import catalogues
from connectors.core import door, token
from connectors.core.plan import SourceConfig
from connectors.core.plan_grammar import POLL_SOURCE
from connectors.core.plan_lookups import secrets_of
from connectors.core.plan_settings import setting_names

_ARN = "arn:aws[a-z-]*:lambda:.+"


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of a connector: `parameter` is what the template's parameter for it is called."""

    name: str
    parameter: str
    required: bool
    many: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """A source or system of the new template. `name` is its logical name there."""

    kind: str
    connector: str
    name: str
    settings: tuple[Setting, ...]

    @property
    def asked(self) -> tuple[Setting, ...]:
        """What has to be given."""
        return tuple(one for one in self.settings if one.required)

    @property
    def secret(self) -> str:
        return f"hailback/{self.name.lower()}"

    @property
    def tells(self) -> bool:
        """Whether it tells by webhook."""
        return door.load(self.connector) is not None


def choose(sources: Sequence[str], systems: Sequence[str]) -> tuple[Chosen, ...]:
    """What was chosen, in order, each with a name of its own. Raises KeyError for a connector that is none."""
    found: list[Chosen] = []
    for kind, names in (("Custom::Source", sources), ("Custom::System", systems)):
        for connector in names:
            base = connector.title().replace("_", "")  # CloudFormation takes letters and digits
            count = sum(one.connector == connector for one in found)
            found.append(_chosen(kind, connector, base if not count else f"{base}{count + 1}"))
    return tuple(found)


def _chosen(kind: str, connector: str, name: str) -> Chosen:
    kind_of: Any = connectors.source(connector) if kind == "Custom::Source" else connectors.system(connector)
    model = kind_of.settings_model
    given = model.model_json_schema(by_alias=True, mode="validation")
    settings = [
        Setting(
            shown, f"{name}{shown}", key in given.get("required", ()), given["properties"][key].get("type") == "array"
        )
        for shown, key in setting_names(model).items()
    ]
    return Chosen(kind, connector, name, tuple(settings))


def template(chosen: Sequence[Chosen], answers: Mapping[str, str], schema: str | None = None) -> str:
    """The template's text. `answers` are defaults of parameters, by name; `schema` is where editors find theirs."""
    sources = [one for one in chosen if one.kind == "Custom::Source"]
    systems = [one for one in chosen if one.kind == "Custom::System"]
    parts = [
        f"# yaml-language-server: $schema={schema}\n" if schema else "",
        _HEAD,
        *(_parameters(one, answers) for one in chosen),
        _PEOPLE,
        "\n  # ---- Places: where people talk ---------------------------------------------------------------------\n",
        *(_resource(one) for one in sources),
        "\n  # ---- Systems: where cases go -----------------------------------------------------------------------\n",
        *(_resource(one) for one in systems),
        _plan(systems),
        _outputs(chosen),
    ]
    return "".join(parts)


_HEAD = f"""\
AWSTemplateFormatVersion: '2010-09-09'
Description: Who is listened to, where cases go and who is told.

# This file is yours. Look at it with `hailback check`, try a change with `hailback rehearse`, deploy it with
#   aws cloudformation deploy --template-file FILE --stack-name hailback-routes --parameter-overrides Configure=ARN …
# No secret is ever written here: secrets lie in Secrets Manager, under the names below.

Parameters:
  Configure:
    Description: The ARN of Hailback's configure_stack function (output ConfigureArn of its stack)
    Type: String
    AllowedPattern: {_ARN}
"""

_PEOPLE = """
Resources:
  # ---- People: who is told. The name begins with hailback-, which is what Hailback may publish to --------------------

  Care:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: hailback-care
      DisplayName: Hailback

  CarePolicy:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Care]
      PolicyDocument:
        Version: '2012-10-17'
        Statement:
          - Sid: ThisAccountOnly
            Effect: Allow
            Principal: {AWS: !Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:root'}
            Action: [sns:Publish, sns:Subscribe, sns:GetTopicAttributes, sns:ListSubscriptionsByTopic]
            Resource: !Ref Care
"""


def _parameters(one: Chosen, answers: Mapping[str, str]) -> str:
    text = ""
    for setting in one.asked:
        kind = "CommaDelimitedList" if setting.many else "String"
        text += f"  {setting.parameter}:\n    Description: {setting.name} of {one.connector}; docs/plan.md says what\n"
        text += f"    Type: {kind}\n"
        if answer := answers.get(setting.parameter):
            text += f"    Default: {_quoted(answer)}\n"
    text += f"  {one.name}Secret:\n    Description: Name of its secret, without /credentials and /verification\n"
    return f"{text}    Type: String\n    Default: {_quoted(answers.get(f'{one.name}Secret', one.secret))}\n"


def _resource(one: Chosen) -> str:
    lines = [
        f"\n  {one.name}:",
        f"    Type: {one.kind}",
        "    Properties:",
        "      ServiceToken: !Ref Configure",
        "      ServiceTimeout: 120",
        f"      Connector: {one.connector}",
        f"      Secret: !Ref {one.name}Secret",
        *(f"      {setting.name}: !Ref {setting.parameter}" for setting in one.asked),
    ]
    if more := [setting.name for setting in one.settings if not setting.required]:
        lines.append(f"      # It also takes {', '.join(more)}: see docs/plan.md.")
    return "\n".join([*lines, ""])


def _plan(systems: Sequence[Chosen]) -> str:
    names = ", ".join(f"!Ref {one.name}" for one in systems)
    return f"""
  # ---- The plan: the first route that fits takes a mention -----------------------------------------------------------

  Plan:
    Type: Custom::Plan
    DependsOn: CarePolicy
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Routes:
        # Another route goes before this one and says what it asks for, such as
        #   - Name: praise
        #     When: {{intent: [praise]}}
        #     Open: count
        - Name: everything-else
          Case: [{names}]
          Notify: [!Ref Care]
"""


def _outputs(chosen: Sequence[Chosen]) -> str:
    text = "\nOutputs:\n"
    for one in chosen:
        if one.tells:
            text += f"  {one.name}WebhookUrl:\n    Description: Where {one.connector} sends its webhooks\n"
            text += f"    Value: !GetAtt {one.name}.WebhookUrl\n"
    text += "  CareTopic:\n    Description: Subscribe people here\n    Value: !Ref Care\n"
    return f"{text}  Warnings:\n    Description: What was odd about the plan\n    Value: !GetAtt Plan.Warnings\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def secrets(chosen: Sequence[Chosen], answers: Mapping[str, str]) -> list[str]:
    """The secrets that have to exist before the first deployment."""
    found = list[str]()
    for one in chosen:
        name = answers.get(f"{one.name}Secret", one.secret)
        if one.kind == "Custom::System":
            found.append(token.credentials_secret(name))
        else:
            source = SourceConfig.of(one.name, one.connector, name, {}, None if one.tells else POLL_SOURCE)
            found += secrets_of(source, catalogues.sources())
    return found


def steps(chosen: Sequence[Chosen], answers: Mapping[str, str], file: str) -> list[str]:
    """What is to be done with the template, one line each."""
    missing = [setting.parameter for one in chosen for setting in one.asked if not answers.get(setting.parameter)]
    overrides = " ".join(f"{name}=…" for name in ("Configure", *missing))
    tell = [one for one in chosen if one.tells]
    webhooks = ", ".join(f"{one.name}WebhookUrl" for one in tell)
    deploy = f"aws cloudformation deploy --template-file {file} --stack-name hailback-routes"
    found = [
        "1. Make these secrets (aws secretsmanager create-secret); the connectors' READMEs say what each holds:",
        *(f"     {name}" for name in secrets(chosen, answers)),
        f"2. hailback check {file}",
        "3. Deploy it; Configure is the output ConfigureArn of Hailback's own stack:",
        f"     {deploy} --parameter-overrides {overrides}",
        "4. Subscribe people to the topic in the output CareTopic.",
    ]
    if tell:
        found.append(f"5. Enter the addresses in the outputs {webhooks} as webhooks there.")
        found.append("6. Make these secrets too:")
        found += [f"     {line}" for line in _later(tell, answers)]
    return found


def _later(tell: Sequence[Chosen], answers: Mapping[str, str]) -> list[str]:
    """Secrets without which a deployment succeeds, and what is missing then."""
    found = []
    for one in tell:
        name = answers.get(f"{one.name}Secret", one.secret)
        if one.kind == "Custom::System":
            found.append(f"{name}/verification: what it signs its webhooks with; they are refused until it is there")
        else:
            found.append(f"{name}/credentials: what it is asked and answered with; answers wait until it is there")
    return found
