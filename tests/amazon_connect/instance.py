"""A Connect instance that keeps state and checks signatures. What it is asked and what it answers is held to the API
description that the AWS SDK brings."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from connectors.amazon_connect.account import AmazonConnectAccount
from connectors.amazon_connect.connector import AmazonConnectSource
from connectors.http import HttpClient
from connectors.sigv4 import AwsCredentials
from tests.amazon_connect.contract import INSTANCE
from tests.standin import Answer, Call, serving

ID, SECRET, FLOW = INSTANCE.rpartition("/")[2], "invented-too", "6f1c0000-0000-4000-8000-00000000000c"
_MODEL = ServiceModel(Loader().load_service_model("connect", "service-2"))
_OPERATIONS = {
    ("PUT", "/contact/task"): "StartTaskContact",
    ("POST", "/search-contacts"): "SearchContacts",
    ("GET", f"/instance/{ID}"): "DescribeInstance",
}


def cid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


@dataclass
class Instance:
    """`lost`: how many writes are carried out without an answer. `dark`: contacts that are not described yet."""

    clock: float = 1_795_000_000.0
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    dark: set[str] = field(default_factory=set)
    searchable: bool = True
    lost: int = 0
    page: int = 2
    address: str = ""
    secret: str = SECRET
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def serve(self) -> Iterator[None]:
        with serving(self._answer) as self.address:
            yield

    def account(self, secret: str = SECRET, **more: Any) -> AmazonConnectAccount:
        settings = AmazonConnectSource(instance=INSTANCE, task_flow=FLOW, api_url=self.address, **more)
        keys = AwsCredentials.model_validate({"access_key_id": "AKIAINVENTED", "secret_access_key": secret})
        return AmazonConnectAccount(settings, keys, HttpClient(allow_private=True, total=5))

    def call(self, number: int, begun: float, lasted: float | None = 60, who: str | None = "+491701234567") -> None:
        """A call that came in; None: it is not over."""
        made: dict[str, Any] = {"Arn": f"{INSTANCE}/contact/{cid(number)}", "Id": cid(number), "Channel": "VOICE"}
        made |= {"InitiationMethod": "INBOUND", "InitiationTimestamp": begun}
        made |= {"DisconnectTimestamp": begun + lasted} if lasted is not None else {}
        made |= {"CustomerEndpoint": {"Type": "TELEPHONE_NUMBER", "Address": who}} if who else {}
        self.contacts[cid(number)] = made

    def _answer(self, call: Call) -> Answer:
        if not _is_signed(call, self.secret, self.address.removeprefix("http://")):
            return 403, {"message": "The request signature we calculated does not match"}, {}
        name = _OPERATIONS.get((call.method, call.path), "DescribeContact")
        shape, said = _MODEL.operation_model(name), call.json() if call.body else {}
        _fits(said, shape.input_shape, ("ContactId", "InstanceId") if call.method == "GET" else ())
        self.asked.append(name)
        status, answer = getattr(self, f"_{name}")(call, said)
        if status == 200 and answer is not None:
            _fits(answer, shape.output_shape)
        return status, answer, {}

    def _DescribeContact(self, call: Call, said: Any) -> tuple[int, Any]:  # noqa: N802
        found = re.fullmatch(rf"/contacts/{ID}/(.+)", call.path)
        assert found, call.path
        contact = None if found[1] in self.dark else self.contacts.get(found[1])
        return (200, {"Contact": contact}) if contact else (404, {"Message": "Resource not found"})

    def _DescribeInstance(self, call: Call, said: Any) -> tuple[int, Any]:  # noqa: N802
        return 200, {"Instance": {"Id": ID, "Arn": INSTANCE, "InstanceStatus": "ACTIVE"}}

    def _StartTaskContact(self, call: Call, said: Any) -> tuple[int, Any]:  # noqa: N802
        assert said["RelatedContactId"] in self.contacts
        key = said["ClientToken"]
        if key not in self.tasks:
            task = {
                "Id": cid(900 + len(self.tasks)),
                "Channel": "TASK",
                "InitiationMethod": "API",
                "Name": said["Name"],
            }
            self.tasks[key] = {**task, "InitiationTimestamp": self.clock, "said": said}
        self.lost -= 1
        return 200, (None if self.lost >= 0 else {"ContactId": self.tasks[key]["Id"]})

    def _SearchContacts(self, call: Call, said: Any) -> tuple[int, Any]:  # noqa: N802
        between, wanted = said["TimeRange"], said["SearchCriteria"]
        by = {"DISCONNECT_TIMESTAMP": "DisconnectTimestamp", "INITIATION_TIMESTAMP": "InitiationTimestamp"}[
            between["Type"]
        ]
        things = [*self.contacts.values(), *(self.tasks.values() if self.searchable else ())]
        found = [one for one in things if between["StartTime"] <= one.get(by, 0) <= between["EndTime"]]
        found = [one for one in found if one["Channel"] in wanted["Channels"]]
        found.sort(key=lambda one: -one[by])
        start, hidden = int(said.get("NextToken", "0")), {"CustomerEndpoint", "said"}
        shown = [{name: value for name, value in one.items() if name not in hidden} for one in found]
        more = {"NextToken": f"{start + self.page}"} if start + self.page < len(shown) else {}
        return 200, {"Contacts": shown[start : start + self.page], "TotalCount": len(shown), **more}


def _fits(said: Any, shape: Any, elsewhere: tuple[str, ...] = ()) -> None:
    """What is in the path is not in the body."""
    given = {**dict.fromkeys(elsewhere, "x"), **_dated(said)}
    given = {name: value for name, value in given.items() if name in shape.members or name not in elsewhere}
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()
    unknown = set(said) - set(shape.members)
    assert not unknown, f"{unknown} is nothing that the description knows"


def _dated(value: Any) -> Any:
    """Times go over the wire as numbers; the validator of the SDK wants them as times."""
    if isinstance(value, dict):
        return {
            name: datetime.fromtimestamp(inner, UTC) if name.endswith(("Time", "Timestamp")) else _dated(inner)
            for name, inner in value.items()
        }
    return [_dated(one) for one in value] if isinstance(value, list) else value


def _is_signed(call: Call, secret: str, host: str) -> bool:
    """Signature Version 4, worked out without the SDK."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIAINVENTED/(\d{8})/eu-central-1/connect/aws4_request, "
        r"SignedHeaders=([a-z;-]+), Signature=([0-9a-f]{64})",
        call.headers.get("authorization", ""),
    )
    if found is None or call.headers["host"] != host:
        return False
    day, names, given = found.groups()
    lines = "".join(f"{name}:{call.headers[name].strip()}\n" for name in names.split(";"))
    asked = "\n".join([call.method, call.path, "", lines, names, hashlib.sha256(call.body).hexdigest()])
    scope = f"{day}/eu-central-1/connect/aws4_request"
    stamp = call.headers["x-amz-date"]
    signed = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(asked.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), signed):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key.hex() == given and {"host", "x-amz-date"} <= set(names.split(";"))
