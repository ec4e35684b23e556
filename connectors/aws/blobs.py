"""Bodies too large for a queue message or a table item, in S3. Also the packing of what is not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

INLINE = 100_000
"""Bytes, packed, up to which a body stays in its table item (400 KB at most, with its other attributes)."""


def squeeze(body: bytes) -> bytes:
    """Packed, and the same for the same body: no time stamp inside."""
    return gzip.compress(body, compresslevel=6, mtime=0)


def expand(packed: bytes) -> bytes:
    """The body again."""
    return gzip.decompress(packed)


class Blobs:
    """One bucket. The client is made when it is first needed, for most bodies are small."""

    def __init__(self, client: Callable[[], S3Client], bucket: str) -> None:
        self._make, self._client, self.bucket = client, None, bucket

    _client: S3Client | None

    @property
    def client(self) -> S3Client:
        if self._client is None:
            self._client = self._make()
        return self._client

    def put(self, key: str, packed: bytes) -> None:
        """Keep packed bytes under a key."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=packed)

    def get(self, key: str) -> bytes:
        """The packed bytes. Raises the client's NoSuchKey where they are gone."""
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def find(self, key: str) -> bytes | None:
        """The packed bytes, or None where their time was over. Needs s3:ListBucket: without it, AWS refuses to say."""
        try:
            return self.get(key)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise

    def delete(self, key: str) -> None:
        """Remove, if it is there."""
        self.client.delete_object(Bucket=self.bucket, Key=key)
