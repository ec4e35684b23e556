"""A client that cannot write: for whoever only looks, whatever the credentials allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.tool.deployment import Deployment

_READS = ("get_", "query", "batch_get_item", "describe_", "list_")


class ReadOnlyError(RuntimeError):
    """Something was about to be written where nothing may be: a defect of ours."""


class _ReadOnly:
    """A boto3 client that only reads, whatever its credentials allow."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_READS) or name in {"meta", "exceptions"}:
            return getattr(self._client, name)
        raise ReadOnlyError(f"{name} writes")


def read_only(client: Any) -> Any:
    """The client without all that writes. Raises ReadOnlyError when it is tried."""
    return _ReadOnly(client)


def looking(deployment: Deployment) -> Deployment:
    """The deployment, of which every client that is made from now on only reads, whichever service it speaks to."""
    clients = deployment.client
    deployment.client = lambda *given, **more: read_only(clients(*given, **more))
    return deployment
