"""What a deployed stack says of itself that a template needs: its parameters, its topics' ARNs, where it lives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connectors.tool.cfn_values import Around
from connectors.tool.deployment import DeploymentError

if TYPE_CHECKING:
    from connectors.tool.deployment import Deployment

_HIDDEN = "****"


def machine_parameters(deployment: Deployment) -> dict[str, str]:
    """What Hailback's own stack was deployed with."""
    return _parameters(deployment, deployment.name)


def around_deployed(deployment: Deployment, stack: str, given: Mapping[str, str]) -> Around:
    """What a file is deployed into as `stack`: its parameters stay as they are unless given, as in an update."""
    arn = deployment.stack.id.split(":")
    region, account = (arn[3], arn[4]) if len(arn) > 5 else ("eu-central-1", "123456789012")
    try:
        before = _parameters(deployment, stack)
        physical = {
            row["LogicalResourceId"]: row["PhysicalResourceId"]
            for row in deployment.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
            if row.get("PhysicalResourceId") and row["ResourceStatus"] != "DELETE_COMPLETE"
        }
    except DeploymentError:
        before, physical = {}, {}
    return Around(stack, region, account, {**before, **given}, physical, exports=_exports(deployment))


def _exports(deployment: Deployment) -> dict[str, str] | None:
    """What the stacks of this region export; None where that may not be asked."""
    from botocore.exceptions import ClientError

    try:
        pages = deployment.client("cloudformation").get_paginator("list_exports").paginate()
        return {one["Name"]: one["Value"] for page in pages for one in page["Exports"]}
    except ClientError:
        return None


def _parameters(deployment: Deployment, stack: str) -> dict[str, str]:
    from botocore.exceptions import ClientError

    try:
        found = deployment.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise DeploymentError(f"there is no stack {stack} here") from error
        raise
    return {
        one["ParameterKey"]: one["ParameterValue"]
        for one in found.get("Parameters", [])
        if one.get("ParameterValue") not in (None, _HIDDEN)
    }
