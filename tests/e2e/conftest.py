"""One deployed machine for all end-to-end tests: the real template, built and deployed by `sam` on a local AWS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.tool import aws, deploy


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws.LocalAws]:
    """A local AWS with IAM enforced, ended with the tests."""
    with aws.start(tmp_path_factory.mktemp("aws")) as running:
        yield running


@pytest.fixture(scope="session")
def stack(local: aws.LocalAws, tmp_path_factory: pytest.TempPathFactory) -> deploy.Stack:
    """The machine."""
    built = deploy.build(local.python, into=tmp_path_factory.mktemp("built") / "build")
    return deploy.deploy_locally(local, built)
