"""The store's tests run on three tables that speak DynamoDB: moto, MiniStack and Amazon's DynamoDB Local."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from connectors.aws.blobs import Blobs
from connectors.tool import aws
from tests.doubles import MemoryBlobs
from tests.store import dynamodb_local
from tests.store.shop import Shop
from tests.template import table_request

_DEAF = Config(proxies={}, retries={"total_max_attempts": 1}, max_pool_connections=32)


@dataclass
class Backend:
    """A place that speaks DynamoDB."""

    name: str
    client: Any
    s3: Any = None

    @property
    def simultaneous(self) -> bool:
        """Whether it says anything about writers at the same time; moto does not."""
        return self.name != "moto"


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A local AWS for the whole run."""
    with aws.start(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture(scope="session")
def amazons() -> Iterator[str]:
    """A DynamoDB Local for the whole run."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(dynamodb_local.running())
        except dynamodb_local.AbsentError as error:
            pytest.skip(str(error))
        yield address


@pytest.fixture(params=["moto", "ministack", pytest.param("dynamodb_local", marks=pytest.mark.dynamodb_local)])
def backend(request: pytest.FixtureRequest, aws_environment: None) -> Iterator[Backend]:
    match request.param:
        case "moto":
            with mock_aws():
                yield Backend("moto", boto3.client("dynamodb"), boto3.client("s3"))
        case "ministack":
            local = request.getfixturevalue("ministack")
            yield Backend("ministack", local.client("dynamodb"), local.client("s3"))
        case _:
            address = request.getfixturevalue("amazons")
            client = boto3.client(
                "dynamodb",
                endpoint_url=address,
                region_name="eu-central-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=_DEAF,
            )
            yield Backend("dynamodb_local", client)


@pytest.fixture
def open_shop(backend: Backend) -> Callable[..., Shop]:
    """Makes the store over a table of the template's shape; `client` may stand before the backend's own."""
    name = f"hailback-{uuid.uuid4().hex[:12]}"
    backend.client.create_table(**table_request(name))
    backend.client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    blobs: Any = MemoryBlobs()
    if backend.s3 is not None:
        backend.s3.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": backend.s3.meta.region_name}
        )
        blobs = Blobs(lambda: backend.s3, name)

    def make(wrap: Callable[[Any], Any] = lambda client: client, **given: Any) -> Shop:
        return Shop(wrap(backend.client), name, **{"blobs": blobs, **given})

    return make


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop()
