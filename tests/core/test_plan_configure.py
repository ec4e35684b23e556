"""Sources, systems and plans coming into force in a real table (moto): once, atomically, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.aws.config import ConfigStore
from connectors.core import token
from connectors.core.plan import Route
from connectors.core.plan_ports import Sight
from tests.core.plan_table import deploy, do, open_store, rows, table, tracker_url
from tests.core.plan_world import FORUM, PLAN, ROUTE, TOPIC, TRACKER, Seen, ask
from tests.faults import Fault, FaultyClient

FORUM_2 = {**FORUM, "BaseUrl": "https://second.example"}
TRACKER_2 = {**TRACKER, "BaseUrl": "https://second.example"}


@pytest.fixture
def client() -> Iterator[Any]:
    with table() as client:
        yield client


@pytest.fixture
def store(client: Any) -> ConfigStore:
    return open_store(FaultyClient(client), ttl=0)


def test_a_deployed_plan_is_what_the_functions_read(store: ConfigStore) -> None:
    outcome = deploy(store)
    plan = store.active_plan()
    assert plan is not None
    assert outcome.data["Version"] == plan.version
    assert outcome.physical_id == "routes/Plan"
    assert plan.routes == (Route(name="everything-else", systems=("routes/Tracker",), topics=(TOPIC,)),)
    assert plan.systems["routes/Tracker"] == store.system("routes/Tracker")
    assert plan == store.plan(plan.version)
    source = store.source("routes/Forum")
    assert source is not None
    assert source.settings["BaseUrl"] == "https://forum.example"


def test_a_source_is_told_its_webhook_address(store: ConfigStore) -> None:
    outcome = do(store, ask("Create", "Source", "Forum", FORUM))
    base, connector, code = outcome.data["WebhookUrl"].rsplit("/", 2)
    assert (base, connector) == ("https://api.example", "forum")
    assert token.read("salt", "forum", code) == ("routes/Forum", "hailback/forum")
    assert outcome.data["Warnings"] == "none"


def test_the_source_looks_at_one_secret_and_the_system_at_the_other(store: ConfigStore) -> None:
    seen = Seen()
    do(store, ask("Create", "Source", "Forum", FORUM), seen)
    do(store, ask("Create", "System", "Tracker", TRACKER), seen)
    assert seen.asked == ["hailback/forum/verification", "hailback/tracker/credentials"]


@pytest.mark.parametrize("action", ["Create", "Update", "Delete"])
def test_a_request_delivered_twice_is_answered_the_same_and_done_once(
    store: ConfigStore, client: Any, action: str
) -> None:
    deploy(store)
    request = ask(action, "Source", "New" if action == "Create" else "Forum", FORUM_2)
    first = do(store, request)
    before = rows(client)
    again = do(open_store(client), request, Seen(secret=Sight.MISSING))
    assert again == first
    assert first.ok
    assert rows(client) == before


def test_a_refusal_delivered_twice_is_the_same_refusal(store: ConfigStore) -> None:
    request = ask("Create", "Source", "Forum", FORUM)
    first = do(store, request, Seen(secret=Sight.MISSING))
    assert first.findings == (
        "Secret: secret 'hailback/forum/verification' does not exist. Create it, then deploy again.",
    )
    assert do(store, request) == first
    assert store.source("routes/Forum") is None


def test_a_late_duplicate_of_an_older_update_changes_nothing(store: ConfigStore) -> None:
    deploy(store)
    older = ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER)
    newer = ask("Update", "System", "Tracker", {**TRACKER, "BaseUrl": "https://third.example"}, old=TRACKER_2)
    first = do(store, older)
    do(store, newer)
    assert do(store, older) == first
    assert tracker_url(store.active_plan()) == "https://third.example"


@pytest.mark.parametrize(("kind", "name", "old", "new"), [
    ("System", "Tracker", TRACKER, TRACKER_2),
    ("Plan", "Plan", PLAN, {"Routes": [{**ROUTE, "Name": "renamed"}]}),
    ("Source", "Forum", FORUM, FORUM_2),
])  # fmt: skip
def test_a_request_that_broke_off_and_comes_back_after_a_newer_one_is_overtaken(
    store: ConfigStore, client: Any, kind: str, name: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    deploy(store)
    broken_off = ask("Update", kind, name, new, old=old)
    dying = FaultyClient(client, [Fault("transact_write_items", 2, "InternalFailure")])
    with pytest.raises(Exception, match="InternalFailure"):
        do(open_store(dying), broken_off)
    newer = do(store, ask("Update", kind, name, old, old=new))
    late = do(store, broken_off)
    assert newer.ok
    assert late.findings == (f"{name}: a newer request overtook this one. Nothing to do.",)
    pointer = store.plan_pointer() if kind == "Plan" else store.pointer(f"routes/{name}")
    assert pointer is not None
    assert pointer.version == newer.data["Version"]


def test_a_request_that_broke_off_is_carried_out_when_it_comes_back(store: ConfigStore, client: Any) -> None:
    request = ask("Create", "Source", "Forum", FORUM)
    dying = FaultyClient(client, [Fault("transact_write_items", 2, "InternalFailure")])
    with pytest.raises(Exception, match="InternalFailure"):
        do(open_store(dying), request)
    assert store.source("routes/Forum") is None
    assert do(store, request).ok
    assert store.source("routes/Forum") is not None


def test_an_activation_whose_answer_got_lost_is_found_done(store: ConfigStore, client: Any) -> None:
    request = ask("Create", "Source", "Forum", FORUM)
    dying = FaultyClient(client, [Fault("transact_write_items", 2, "InternalFailure", after=True)])
    with pytest.raises(Exception, match="InternalFailure"):
        do(open_store(dying), request)
    outcome = do(store, request, Seen(secret=Sight.MISSING))
    assert outcome.ok
    pointer = store.pointer("routes/Forum")
    assert pointer is not None
    assert pointer.revision == 1


def test_a_changed_system_takes_its_plan_along(store: ConfigStore) -> None:
    first = deploy(store)
    assert do(store, ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER)).ok
    plan = store.active_plan()
    assert tracker_url(plan) == "https://second.example"
    assert plan is not None
    assert plan.version != first.data["Version"]
    assert tracker_url(store.plan(first.data["Version"])) == "https://tracker.example"


def test_a_system_that_no_plan_names_leaves_the_plan_alone(store: ConfigStore) -> None:
    first = deploy(store)
    assert do(store, ask("Create", "System", "Other", TRACKER_2)).ok
    plan = store.active_plan()
    assert plan is not None
    assert plan.version == first.data["Version"]


def test_a_rollback_returns_to_the_old_version(store: ConfigStore) -> None:
    first = deploy(store)
    do(store, ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER))
    back = do(store, ask("Update", "System", "Tracker", TRACKER, old=TRACKER_2))
    plan = store.active_plan()
    assert back.ok
    assert plan is not None
    assert plan.version == first.data["Version"]


def test_a_rollback_succeeds_even_if_what_it_names_is_gone_by_now(store: ConfigStore) -> None:
    deploy(store)
    bad = {"Routes": [{**ROUTE, "Notify": [TOPIC + "-gone"]}]}
    lost = Seen(topic=Sight.MISSING)
    assert not do(store, ask("Update", "Plan", "Plan", bad, old=PLAN), lost).ok
    back = do(store, ask("Update", "Plan", "Plan", PLAN, old=bad), lost)
    assert back.ok
    assert back.warnings == (
        f"Routes[0].Notify[0]: topic {TOPIC} does not exist in eu-west-1. Create it, then deploy again.",
    )


def test_revision_asks_for_a_fresh_check_and_its_rollback_does_not(store: ConfigStore) -> None:
    assert do(store, ask("Create", "Source", "Forum", {**FORUM, "Revision": "1"})).ok
    lost = Seen(secret=Sight.MISSING)
    forward = do(
        store, ask("Update", "Source", "Forum", {**FORUM, "Revision": "2"}, old={**FORUM, "Revision": "1"}), lost
    )
    assert not forward.ok
    back = do(store, ask("Update", "Source", "Forum", {**FORUM, "Revision": "1"}, old={**FORUM, "Revision": "2"}), lost)
    assert back.ok


def test_deleting_the_plan_leaves_none_in_force_and_its_text_readable(store: ConfigStore) -> None:
    first = deploy(store)
    assert do(store, ask("Delete", "Plan", "Plan", PLAN)).ok
    assert store.active_plan() is None
    assert store.plan(first.data["Version"]) is not None
    assert do(store, ask("Create", "Plan", "Plan", PLAN)).ok
    assert store.active_plan() is not None


def test_a_deleted_system_and_source_stay_readable_for_open_cases(store: ConfigStore) -> None:
    first = deploy(store)
    assert do(store, ask("Delete", "System", "Tracker", TRACKER)).ok
    assert do(store, ask("Delete", "Source", "Forum", FORUM)).ok
    assert store.system("routes/Tracker") is None
    assert store.source("routes/Forum") is None
    assert store.system("routes/Tracker", with_deleted=True) is not None
    assert store.source("routes/Forum", with_deleted=True) is not None
    assert tracker_url(store.plan(first.data["Version"])) == "https://tracker.example"


@pytest.mark.parametrize("kind", ["Source", "System", "Plan", "Sauce"])
def test_deleting_what_never_existed_succeeds(store: ConfigStore, client: Any, kind: str) -> None:
    request = ask("Delete", kind, "Nothing", {})
    outcome = do(store, request)
    assert outcome.ok
    assert outcome.physical_id == "routes/Nothing"
    assert not [row for row in rows(client) if row["sk"]["S"] in {"ACTIVE", "POINTER"}]


def test_deleting_a_plan_that_was_refused_leaves_the_one_in_force(store: ConfigStore) -> None:
    deploy(store)
    other = {"Routes": [{**ROUTE, "Name": "mine"}]}
    second = do(store, ask("Create", "Plan", "Second", other))
    assert second.findings == (
        (
            "Custom::Plan: another plan, routes/Plan, is in force and owns the catch-all. "
            "Give this one a Priority, or update or delete that one; to rename it, change nothing else meanwhile."
        ),
    )
    assert do(store, ask("Delete", "Plan", "Second", PLAN)).ok
    assert store.active_plan() is not None


def test_a_stack_made_anew_under_the_same_name_is_not_undone_by_the_old_ones_deletion(store: ConfigStore) -> None:
    deploy(store)
    for kind, name, properties in (("System", "Tracker", TRACKER), ("Plan", "Plan", PLAN)):
        assert do(store, ask("Create", kind, name, properties, run="2")).ok
        assert do(store, ask("Delete", kind, name, properties, run="1")).ok
    assert store.active_plan() is not None
    assert store.system("routes/Tracker") is not None


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "routes/Nobody",
            "Routes[0].Case[0]: system 'routes/Nobody' is not deployed. Write !Ref and the name of a Custom::System.",
        ),
        ("routes/Forum", "Routes[0].Case[0]: 'routes/Forum' is a Custom::Source. Name a Custom::System."),
    ],
)
def test_a_plan_over_what_is_no_system_is_refused(store: ConfigStore, case: str, said: str) -> None:
    deploy(store)
    wrong = {"Routes": [{**ROUTE, "Case": [case]}]}
    assert do(store, ask("Update", "Plan", "Plan", wrong, old=PLAN)).findings == (said,)
    also = {"Routes": [{**ROUTE, "Case": [case], "Reply": "x"}]}
    findings = do(store, ask("Update", "Plan", "Plan", also, old=PLAN)).findings
    assert said in findings
    assert len(findings) == 2


def test_a_plan_over_a_deleted_system_is_refused(store: ConfigStore) -> None:
    deploy(store)
    do(store, ask("Delete", "System", "Tracker", TRACKER))
    outcome = do(store, ask("Create", "Plan", "Plan", PLAN))
    assert outcome.findings[0].startswith("Routes[0].Case[0]: system 'routes/Tracker' was deleted.")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen(topic=Sight.MISSING), "does not exist in eu-west-1. Create it, then deploy again."),
        (Seen(topic=Sight.DENIED), "was denied. Check that TopicsPrefix, TopicRegions and"),
    ],
)
def test_a_missing_topic_and_a_denied_one_are_told_apart(store: ConfigStore, seen: Seen, said: str) -> None:
    do(store, ask("Create", "System", "Tracker", TRACKER))
    outcome = do(store, ask("Create", "Plan", "Plan", PLAN), seen)
    assert said in outcome.findings[0]
    assert store.active_plan() is None


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen(secret=Sight.DENIED), "was denied. Check that it exists, that SecretsPrefix covers it"),
        (Seen(secret=Sight.DELETED), "is scheduled for deletion. Restore it"),
    ],
)
def test_a_denied_secret_and_a_dying_one_are_told_apart(store: ConfigStore, seen: Seen, said: str) -> None:
    outcome = do(store, ask("Create", "System", "Tracker", TRACKER), seen)
    assert said in outcome.findings[0]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen(topic=Sight.UNREACHABLE), "SNS in eu-west-1 could not be reached"),
        (Seen(confirmed=0), "has no confirmed subscription, so nobody is told"),
    ],
)
def test_what_cannot_be_known_and_nobody_listening_are_warnings(store: ConfigStore, seen: Seen, said: str) -> None:
    do(store, ask("Create", "System", "Tracker", TRACKER))
    outcome = do(store, ask("Create", "Plan", "Plan", PLAN), seen)
    assert outcome.ok
    assert said in outcome.data["Warnings"]
    assert store.active_plan() is not None


def test_an_unreachable_secrets_manager_is_a_warning(store: ConfigStore) -> None:
    outcome = do(store, ask("Create", "System", "Tracker", TRACKER), Seen(secret=Sight.UNREACHABLE))
    assert outcome.ok
    assert "Secrets Manager could not be reached" in outcome.data["Warnings"]


def test_a_type_that_is_not_ours_is_refused(store: ConfigStore) -> None:
    assert do(store, ask("Create", "Sources", "X", FORUM)).findings == (
        "Type: is not a type of Hailback's. Did you mean Custom::Source?",
    )


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ConditionalCheckFailed"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_lost_transaction_is_tried_again(client: Any, nth: int, reason: str) -> None:
    faulty = FaultyClient(
        client, [Fault("transact_write_items", nth, "TransactionCanceledException", ["None", reason])]
    )
    outcome = do(open_store(faulty), ask("Create", "Source", "Forum", FORUM))
    assert outcome.ok
    assert faulty.calls["transact_write_items"] == 3


def test_a_race_that_never_ends_is_given_up_with_a_sentence(client: Any) -> None:
    faulty = FaultyClient(
        client, [Fault("transact_write_items", 0, "TransactionCanceledException", ["ConditionalCheckFailed"])]
    )
    seen = Seen()
    outcome = do(open_store(faulty), ask("Create", "Source", "Forum", FORUM), seen)
    assert outcome.findings == ("Forum: other deployments kept changing the plan at the same time. Deploy again.",)


def test_a_system_that_changes_while_the_plan_compiles_is_compiled_in(client: Any, store: ConfigStore) -> None:
    do(store, ask("Create", "System", "Tracker", TRACKER))
    meanwhile = ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER)
    racing = FaultyClient(client, [Fault("transact_write_items", 2, before=lambda: do(store, meanwhile))])
    seen = Seen()
    assert do(open_store(racing), ask("Create", "Plan", "Plan", PLAN), seen).ok
    assert tracker_url(store.active_plan()) == "https://second.example"
    assert seen.asked == [TOPIC]


def test_a_plan_that_comes_into_force_while_its_system_changes_gets_the_new_system(
    client: Any, store: ConfigStore
) -> None:
    do(store, ask("Create", "System", "Tracker", TRACKER))
    meanwhile = ask("Create", "Plan", "Plan", PLAN)
    racing = FaultyClient(client, [Fault("transact_write_items", 2, before=lambda: do(store, meanwhile))])
    assert do(open_store(racing), ask("Update", "System", "Tracker", TRACKER_2, old=TRACKER)).ok
    assert tracker_url(store.active_plan()) == "https://second.example"


def test_two_deliveries_of_one_request_at_the_same_time_do_it_once(client: Any, store: ConfigStore) -> None:
    request = ask("Create", "Source", "Forum", FORUM)
    racing = FaultyClient(client, [Fault("transact_write_items", 1, before=lambda: do(store, request))])
    outcome = do(open_store(racing), request)
    assert outcome == do(store, request)
    pointer = store.pointer("routes/Forum")
    assert pointer is not None
    assert (pointer.revision, pointer.ticket) == (1, 1)


def test_a_twin_that_reads_after_the_first_was_done_does_not_do_it_again(client: Any, store: ConfigStore) -> None:
    request = ask("Create", "Source", "Forum", FORUM)
    racing = FaultyClient(client, [Fault("get_item", 3, before=lambda: do(store, request))])
    assert do(open_store(racing), request).ok
    pointer = store.pointer("routes/Forum")
    assert pointer is not None
    assert pointer.revision == 1


def test_a_rollback_of_text_and_revision_together_succeeds(store: ConfigStore) -> None:
    first = {**FORUM, "Revision": "1"}
    second = {**FORUM_2, "Revision": "2"}
    assert do(store, ask("Create", "Source", "Forum", first)).ok
    assert do(store, ask("Update", "Source", "Forum", second, old=first)).ok
    back = do(store, ask("Update", "Source", "Forum", first, old=second), Seen(secret=Sight.MISSING))
    assert back.ok
    assert "does not exist" in back.data["Warnings"]
    source = store.source("routes/Forum")
    assert source is not None
    assert source.settings["BaseUrl"] == "https://forum.example"
