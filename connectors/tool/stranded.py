"""Cases whose record stands in a system that administrators deleted: nobody asks that system any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.aws.config import ConfigStore
from connectors.core.case import Case
from connectors.tool.plain import many


def stranded(cases: Iterable[Case], config: ConfigStore) -> list[dict[str, Any]]:
    """`system` and `cases`, a count, for each system that was deleted and has the record of one of these cases."""
    count = Counter(case.record.system for case in cases if case.record)
    return [{"system": name, "cases": count[name]} for name in sorted(count) if config.system(name) is None]


def told(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """The same, one sentence each."""
    return [
        f"{many(one['cases'], 'open case')} {'has its' if one['cases'] == 1 else 'have their'} record in "
        f"{one['system']}, which is no longer deployed: what people do there is not heard. Deploy it again, or close "
        "them there; a new post takes its case to the plan in force"
        for one in found
    ]
