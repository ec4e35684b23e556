"""How long `receive_webhook` takes from nothing to its first answer, against the least that could do its work.

    python -m tests.bench.cold_start [RUNS]

Fresh processes, in turns: one imports the function and handles a delivery; the other makes bare boto3 clients of SQS
and Secrets Manager and reads one secret and sends one message. Both speak to a local AWS on this machine. Prints the
medians and their ratio, and ends with 1 where the ratio is above 1.25.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from connectors.core import door, token
from connectors.tool import aws

ROOT = Path(__file__).resolve().parents[2]
TARGET = 1.25
_WATCH = "import time; began = time.perf_counter()\n"
_STOP = "\nprint(time.perf_counter() - began)"
BARE = """
import os, boto3
boto3.client("secretsmanager").get_secret_value(SecretId="hailback/forum/verification")
boto3.client("sqs").send_message(QueueUrl=os.environ["INBOX_QUEUE_URL"], MessageBody=os.environ["REQUEST"])
"""
OURS = """
import json, os, receive_webhook
answer = receive_webhook.handler(json.loads(os.environ["REQUEST"]), None)
assert answer["statusCode"] == 200, answer
"""


def measure(runs: int) -> tuple[float, float]:
    """Median seconds of the bare clients and of the function."""
    with tempfile.TemporaryDirectory() as folder, aws.start(Path(folder)) as local:
        secret, salt, body = "a-secret", "a-salt", b'{"post": {"id": 1}}'
        local.client("secretsmanager").create_secret(Name="hailback/forum/verification", SecretString=secret)
        queue = local.client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        headers = door.sign(door.load("discourse") or {}, body, secret)
        address = token.make(salt, "discourse", token.Address("stack/Forum", "hailback/forum"))
        request = {
            "pathParameters": {"connector": "discourse", "token": address},
            "headers": headers,
            "requestContext": {"http": {"method": "POST"}},
            "body": body.decode(),
        }
        environ = {
            **local.environ(),
            "PATH": os.defpath,
            "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT}",
            "INBOX_QUEUE_URL": queue,
            "BUCKET_NAME": "bucket",
            "WEBHOOK_SALT": salt,
            "REQUEST": json.dumps(request),
        }
        taken: dict[str, list[float]] = {BARE: [], OURS: []}
        for run in range(runs + 1):
            for code, times in taken.items():
                seconds = _once(code, environ)
                if run:  # the first of each warms the disk
                    times.append(seconds)
    return statistics.median(taken[BARE]), statistics.median(taken[OURS])


def _once(code: str, environ: dict[str, str]) -> float:
    command = [sys.executable, "-c", _WATCH + code + _STOP]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    bare, ours = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
    print(f"bare clients {bare * 1000:.0f} ms, receive_webhook {ours * 1000:.0f} ms, ratio {ours / bare:.2f}")
    sys.exit(ours / bare > TARGET)
