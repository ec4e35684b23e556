"""One deployed machine for all end-to-end tests: the real template, built and deployed by `sam` on a local AWS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.tool.aws import LocalAws
from connectors.tool.deploy import Stack
from connectors.tool.local import RunningStack, running_stack

DEFINITIONS = "acme-plans/hailback/"
"""Where plans that are too large for a template may lie; the bucket is made by the test that needs it."""


@pytest.fixture(scope="session")
def machine() -> Iterator[RunningStack]:
    """Everything that `hailback up` starts, with IAM enforced; ended with the tests."""
    with running_stack(parameters={"DefinitionsBucket": DEFINITIONS}) as running:
        yield running


@pytest.fixture(scope="session")
def local(machine: RunningStack) -> LocalAws:
    """Its local AWS."""
    return machine.aws


@pytest.fixture(scope="session")
def stack(machine: RunningStack) -> Stack:
    """Its machine's stack."""
    return machine.stack
