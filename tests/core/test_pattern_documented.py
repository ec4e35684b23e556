"""The examples of Amazon's documentation, as a table: pattern, events that match, events that do not.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html and the pages around it, and
the README of https://github.com/aws/event-ruler. Both matchers and the index have to say the same.
"""

from __future__ import annotations

from typing import Any

import pytest

from connectors.core.pattern_index import Index
from connectors.core.pattern_parse import parse
from tests.core import naive_matcher

EC2 = {
    "version": "0",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "111122223333",
    "time": "2017-10-02T18:43:48Z",
    "region": "us-west-1",
    "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
    "detail": {
        "instance-id": "i-1234567890abcdef0",
        "state": "terminated",
        "c-count": 5,
        "d-count": 3,
        "x-limit": 301.8,
        "source-ip": "10.0.0.33",
    },
}


def detail(**more: Any) -> dict[str, Any]:
    return {**EC2, "detail": {**EC2["detail"], **{name.replace("_", "-"): value for name, value in more.items()}}}  # type: ignore[dict-item]


ARRAY = {"resources": ["arn:a", "arn:b"]}
BANDS = {"employees": [{"firstName": "A", "lastName": "X"}, {"firstName": "B", "lastName": "Y"}]}
TABLE: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [
    (
        "and",
        {"Location": ["New York"], "Day": ["Monday"]},
        [{"Location": "New York", "Day": "Monday"}],
        [{"Day": "Monday"}],
    ),
    ("several fields", {"source": ["aws.ec2"], "detail": {"state": ["terminated"]}}, [EC2], [detail(state="running")]),
    ("or of values", {"source": ["aws.ec2", "aws.fargate"]}, [EC2, {"source": "aws.fargate"}], [{"source": "aws"}]),
    ("exact, by character", {"source": ["aws.ec2"]}, [EC2], [{"source": "AWS.EC2"}, {"source": "aws.ec2 "}]),
    ("empty text", {"LastName": [""]}, [{"LastName": ""}], [{"LastName": None}, {}, {"LastName": " "}]),
    ("null", {"UserID": [None]}, [{"UserID": None}], [{"UserID": ""}, {"UserID": "null"}, {}, {"UserID": 0}]),
    (
        "number",
        {"Price": [100]},
        [{"Price": 100}, {"Price": 100.0}, {"Price": 1e2}],
        [{"Price": "100"}, {"Price": 101}],
    ),
    ("boolean", {"foo": [True]}, [{"foo": True}], [{"foo": 1}, {"foo": "true"}, {"foo": False}]),
    ("prefix", {"time": [{"prefix": "2017-10-02"}]}, [EC2], [{"time": "2018"}, {"time": 20171002}, {}]),
    (
        "prefix, any case",
        {"service": [{"prefix": {"equals-ignore-case": "EventB"}}]},
        [{"service": one} for one in ("EventBridge", "EVENTBRIDGE", "eventb")],
        [{"service": "event"}, {"service": 5}],
    ),
    (
        "suffix",
        {"FileName": [{"suffix": ".png"}]},
        [{"FileName": "a.png"}, {"FileName": ".png"}],
        [{"FileName": "a.PNG"}],
    ),
    (
        "suffix, any case",
        {"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]},
        [{"FileName": "a.PNG"}, {"FileName": "a.png"}],
        [{"FileName": "png"}],
    ),
    (
        "anything but",
        {"state": [{"anything-but": "initializing"}]},
        [{"state": "x"}, {"state": 5}, {"state": None}],
        [{}],
    ),
    ("anything but a number", {"x": [{"anything-but": 123}]}, [{"x": 124}, {"x": "123"}], [{"x": 123}, {"x": 123.0}]),
    (
        "anything but a list",
        {"state": [{"anything-but": ["stopped", "overloaded"]}]},
        [{"state": "running"}],
        [{"state": "stopped"}, {"state": "overloaded"}, {}],
    ),
    ("anything but numbers", {"x": [{"anything-but": [100, 200]}]}, [{"x": 101}], [{"x": 100}, {"x": 200.0}]),
    (
        "anything but a case",
        {"state": [{"anything-but": {"equals-ignore-case": ["initializing", "stopped"]}}]},
        [{"state": "running"}],
        [{"state": "INITIALIZING"}, {"state": "Stopped"}],
    ),
    (
        "anything but a prefix",
        {"state": [{"anything-but": {"prefix": "init"}}]},
        [{"state": "run"}],
        [{"state": "init"}],
    ),
    (
        "anything but prefixes",
        {"state": [{"anything-but": {"prefix": ["init", "error"]}}]},
        [{"state": "run"}],
        [{"state": "initial"}, {"state": "error 5"}],
    ),
    (
        "anything but suffixes",
        {"FileName": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]},
        [{"FileName": "a.png"}],
        [{"FileName": "a.txt"}, {"FileName": "a.rtf"}],
    ),
    (
        "anything but wildcards",
        {"FilePath": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]},
        [{"FilePath": "/usr/share/x"}],
        [{"FilePath": "/usr/lib/x"}, {"FilePath": "/bin/"}],
    ),
    ("numeric =", {"detail": {"x-limit": [{"numeric": ["=", 3.018e2]}]}}, [EC2], [detail(x_limit=301.80001)]),
    (
        "numeric ranges",
        {"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}], "d-count": [{"numeric": ["<", 10]}]}},
        [EC2],
        [detail(c_count=0), detail(c_count=5.1), detail(d_count=10), detail(c_count="5")],
    ),
    (
        "cidr",
        {"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}},
        [EC2],
        [detail(source_ip="10.0.1.1"), detail(source_ip="10")],
    ),
    (
        "cidr, IPv6",
        {"ip": [{"cidr": "2001:db8::/32"}]},
        [{"ip": "2001:DB8:0::1"}],
        [{"ip": "2001:db9::1"}, {"ip": "10.0.0.1"}],
    ),
    (
        "exists",
        {"detail": {"state": [{"exists": True}]}},
        [EC2, detail(state=None), detail(state="")],
        [{"detail": {}}, {}],
    ),
    (
        "exists only at leaves",
        {"detail": {"c-count": [{"exists": False}]}},
        [{"detail": {"state": "x"}}, {"detail": {"c-count": {"c1": 100}}}, {}, {"detail": {"c-count": []}}],
        [EC2],
    ),
    (
        "equals-ignore-case",
        {"type": [{"equals-ignore-case": "ec2 Instance"}]},
        [{"type": "EC2 INSTANCE"}],
        [{"type": "ec2"}],
    ),
    (
        "wildcard",
        {"EventBusArn": [{"wildcard": "*:event-bus/*"}]},
        [{"EventBusArn": "arn:x:event-bus/default"}, {"EventBusArn": ":event-bus/"}],
        [{"EventBusArn": "arn:x:event-bus"}],
    ),
    (
        "wildcard between",
        {"FileName": [{"wildcard": "dir/*.png"}]},
        [{"FileName": "dir/sub/a.png"}],
        [{"FileName": "dir/.pn"}],
    ),
    ("escaped asterisk", {"a": [{"wildcard": "hello\\*w*"}]}, [{"a": "hello*world"}], [{"a": "hello world"}]),
    ("escaped backslash", {"a": [{"wildcard": "hello\\\\*d"}]}, [{"a": "hello\\world"}], [{"a": "hello*world"}]),
    (
        "$or",
        {
            "detail": {
                "$or": [{"c-count": [{"numeric": [">", 9]}]}, {"d-count": [{"numeric": ["<", 10]}]}, {"x-limit": [7]}]
            }
        },
        [EC2, detail(c_count=10, d_count=50), detail(d_count=50, x_limit=7)],
        [detail(d_count=50), {"c-count": 10}],
    ),
    (
        "$or beside a field",
        {"source": ["aws.ec2"], "$or": [{"Day": ["Monday"]}, {"region": ["us-west-1"]}]},
        [EC2],
        [{"source": "aws.s3", "Day": "Monday"}, {"source": "aws.ec2"}],
    ),
    (
        "$or in $or",
        {"s": [1], "$or": [{"m": [1]}, {"t": [1], "n": [1], "$or": [{"i": [1234]}, {"p": [1000]}]}]},
        [{"s": 1, "m": 1}, {"s": 1, "t": 1, "n": 1, "p": 1000}],
        [{"s": 1, "t": 1, "n": 1}, {"s": 1, "t": 1, "i": 1234}, {"m": 1}],
    ),
    (
        "any element of a list",
        {"resources": ["arn:b", "arn:c"]},
        [ARRAY, {"resources": "arn:c"}],
        [{"resources": ["arn:d"]}],
    ),
    ("anything-but, any element", {"resources": [{"anything-but": "arn:a"}]}, [ARRAY], [{"resources": ["arn:a"]}]),
    (
        "an empty text and null are two things",
        {"detail": {"eventVersion": [""], "responseElements": [None]}},
        [{"resources": [], "detail": {"eventVersion": "", "responseElements": None}}],
        [{"detail": {"eventVersion": None, "responseElements": ""}}, {"detail": {"eventVersion": ""}}],
    ),
    (
        "suffix, any case, within a word",
        {"service": [{"suffix": {"equals-ignore-case": "tBridge"}}]},
        [{"service": "EventBridge"}, {"service": "eventTBRIDGE"}],
        [{"service": "EventBridges"}],
    ),
    ("not", {"Weather": [{"anything-but": ["Raining"]}]}, [{"Weather": "Sunny"}], [{"Weather": "Raining"}, {}]),
    (
        "not in a region",
        {"Region": [{"anything-but": {"prefix": "us-"}}]},
        [{"Region": "eu-west-1"}, {"Region": "US-EAST-1"}],
        [{"Region": "us-east-1"}],
    ),
    (
        "not with an extension",
        {"FileName": [{"anything-but": {"suffix": ".png"}}]},
        [{"FileName": "a.jpg"}],
        [{"FileName": "a.png"}],
    ),
    (
        "not with a part",
        {"FilePath": [{"anything-but": {"wildcard": "*/lib/*"}}]},
        [{"FilePath": "/usr/share"}, {"FilePath": "lib/x"}],
        [{"FilePath": "/usr/lib/x"}],
    ),
    (
        "a number more than, and less than or equal to",
        {"Price": [{"numeric": [">", 10, "<=", 20]}]},
        [{"Price": 10.01}, {"Price": 20}, {"Price": 2e1}],
        [{"Price": 10}, {"Price": 20.01}, {"Price": "15"}],
    ),
    (
        "one field or the other",
        {"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]},
        [{"Location": "New York"}, {"Day": "Monday", "Location": "Rome"}],
        [{"Location": "Rome"}, {}],
    ),
    (
        "$or twice, side by side",
        {
            "$or": [{"metricName": ["CPU", "Latency"]}, {"namespace": ["EC2", "ES"]}],
            "detail": {"$or": [{"source": ["cloudwatch"]}, {"type": ["Alarm"]}]},
        },
        [{"metricName": "CPU", "detail": {"type": "Alarm"}}, {"namespace": "ES", "detail": {"source": "cloudwatch"}}],
        [{"metricName": "CPU", "namespace": "EC2", "detail": {}}, {"detail": {"type": "Alarm"}}],
    ),
    (
        "lists in lists",
        {"a": [2]},
        [{"a": [[1], [2]]}, {"a": [1, [[2]]]}],
        [{"a": [[1], ["2"]]}, {"a": [[]]}],
    ),
    (
        "the same element of a list",
        {"employees": {"firstName": ["A"], "lastName": ["X"]}},
        [BANDS],
        [{"employees": [{"firstName": "A", "lastName": "Y"}, {"firstName": "B", "lastName": "X"}]}],
    ),
    ("different elements", {"employees": {"firstName": ["A"], "lastName": ["Y"]}}, [], [BANDS]),
    ("a dot in a name", {"a.b": [1]}, [{"a.b": 1}, {"a": {"b": 1}}], [{"a": 1, "b": 1}]),
    (
        "the complex example",
        {
            "time": [{"prefix": "2017-10-02"}],
            "detail": {
                "state": [{"anything-but": "initializing"}],
                "c-count": [{"numeric": [">", 0, "<=", 5]}],
                "d-count": [{"numeric": ["<", 10]}],
                "x-limit": [{"anything-but": [100, 200, 300]}],
                "source-ip": [{"cidr": "10.0.0.0/8"}],
            },
        },
        [EC2],
        [detail(state="initializing"), detail(x_limit=200), detail(source_ip="11.0.0.1")],
    ),
]


@pytest.mark.parametrize(("pattern", "fitting", "others"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_documented_example(pattern: dict[str, Any], fitting: list[Any], others: list[Any]) -> None:
    checked = parse(pattern)
    for event, expected in [*((one, True) for one in fitting), *((one, False) for one in others)]:
        assert checked.matches(event) is expected, event
        assert (checked.explain(event) is None) is expected, event
        assert (Index([checked]).first(event) == 0) is expected, event
        assert naive_matcher.matches(pattern, event) is expected, event
