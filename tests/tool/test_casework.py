"""Cases as an on-call engineer reads them: what waits and why comes first, nobody's words unless asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from connectors.core.case import Case, CaseEvent, Effect, EffectKind, EffectState, Happening, Record
from connectors.core.models import Mention
from connectors.tool.casework import dossier, find_case, summaries, waiting
from connectors.tool.deployment import DeploymentError
from connectors.tool.main import app
from connectors.tool.show import show_case, show_cases

NOW = int(datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp() * 1000)
POST = "discourse:forum.acme.com:9001"
WORDS = "the flat is getting cold [bold]not markup[/bold]"


def a_case(identity: str = "case-abcdefgh", **more: Any) -> Case:
    return Case(
        id=identity,
        conversation="discourse:forum.acme.com:512",
        connector="discourse",
        source="hailback-routes/Forum",
        first_mention=POST,
        opened_at=NOW,
        updated_at="2026-11-21T10:00:00Z",
        **{"plan_version": "p1", "route": "everything-else", **more},
    )


def an_effect(kind: EffectKind, state: EffectState, **more: Any) -> Effect:
    name = more.pop("id", f"{kind}#x")
    return Effect(
        case="case-abcdefgh", id=name, kind=kind, target="routes/Tracker", state=state, planned_at=NOW, **more
    )


class FakeCases:
    """What the store would say."""

    def __init__(self, *cases: Case, effects: tuple[Effect, ...] = (), events: tuple[CaseEvent, ...] = ()) -> None:
        self._cases, self._effects, self._events = cases, effects, events

    def case(self, identity: str) -> Case | None:
        return next((case for case in self._cases if case.id == identity), None)

    def newest(self, limit: int, state: str = "open") -> list[Case]:
        return [case for case in self._cases if case.state == state][:limit]

    def effects(self, _: str) -> list[Effect]:
        return list(self._effects)

    def timeline(self, _: str) -> tuple[CaseEvent, ...]:
        return self._events

    def mention(self, identity: str) -> tuple[dict[str, Any] | None, Mention | None]:
        words = Mention(connector="discourse", native_id="9001", conversation_id="512", text=WORDS)
        return {"version": 2, "url": "https://forum.acme.com/t/512/1"}, words if identity == POST else None


def test_a_new_post_moves_a_case_to_the_top_though_its_state_did_not_change(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Several(FakeCases):
        def timeline(self, case: str) -> tuple[CaseEvent, ...]:
            return tuple(event for event in self._events if event.case == case)

    later = NOW + 3_600_000
    events = [
        CaseEvent(case=case, id=f"{case}{at}", kind=kind, at=at, mention=POST, version=1)
        for case, kind, at in (
            ("case-quiet", Happening.OPENED, NOW + 1000),
            ("case-busy", Happening.OPENED, NOW),
            ("case-busy", Happening.SAID, later),
        )
    ]
    cases: Any = Several(a_case("case-quiet"), a_case("case-busy"), a_case("case-new"), events=tuple(events))
    found = summaries(cases, 5, "open")
    assert [one["id"] for one in found] == ["case-busy", "case-quiet", "case-new"]
    assert datetime.fromisoformat(found[0]["last_event_at"]).timestamp() * 1000 == later
    show_cases(found, "open")
    shown = capsys.readouterr().out
    assert "last event" in shown
    assert found[0]["last_event_at"] in shown


def test_what_needs_an_administrator_comes_first() -> None:
    parked = an_effect(
        EffectKind.RECORD,
        EffectState.PARKED,
        attempt=3,
        error="Misconfigured: tracker.acme.com refuses the password",
        due_at=NOW + 900_000,
    )
    planned = an_effect(EffectKind.NOTIFY, EffectState.PLANNED, due_at=NOW + 60_000)
    first, second = waiting(a_case(), [planned, parked])
    assert first["what"] == "the record for routes/Tracker"
    assert first["why"] == "refused for now, after 3 attempts: Misconfigured: tracker.acme.com refuses the password"
    assert first["next_at"] == "2026-11-21T10:15:00Z"
    assert second["what"].startswith("a notification")


def test_a_post_that_its_note_carries_does_not_wait_twice() -> None:
    wish = an_effect(EffectKind.NOTE, EffectState.CLAIMED, batch="batch#1", mention=POST, version=1)
    note = an_effect(EffectKind.BATCH, EffectState.UNKNOWN, id="batch#1", members=("note#x",), attempt=1)
    (only,) = waiting(a_case(), [wish, note])
    assert only["what"] == "a note of 1 post for routes/Tracker"
    assert "looked up before it is repeated" in only["why"]


def test_a_case_without_a_plan_says_so() -> None:
    event = CaseEvent(case="case-abcdefgh", id="e", kind=Happening.OPENED, at=NOW, mention=POST, due_at=NOW)
    (only,) = waiting(a_case(plan_version=None, route=None), [], [event])
    assert "no plan is in force" in only["why"]


def test_a_case_says_since_when_nobody_has_answered(capsys: pytest.CaptureFixture[str]) -> None:
    asked = CaseEvent(case="case-abcdefgh", id="e", kind=Happening.OPENED, at=NOW, mention=POST, version=1)
    there = CaseEvent(case=asked.case, id="f", kind=Happening.ANSWERED_THERE, at=NOW + 1, mention="discourse:2")
    waits: Any = FakeCases(a_case(), events=(asked,))
    assert dossier(waits, a_case())["unanswered_since"] == "2026-11-21T10:00:00Z"
    show_case(dossier(waits, a_case()))
    assert "not answered since 2026-11-21T10:00:00Z" in capsys.readouterr().out
    done: Any = FakeCases(a_case(), events=(asked, there))
    assert dossier(done, a_case())["unanswered_since"] is None
    assert [one["what"] for one in dossier(done, a_case())["timeline"]] == ["opened", "answered there"]
    solved: Any = FakeCases(a_case(state="solved"), events=(asked,))
    assert dossier(solved, a_case(state="solved"))["unanswered_since"] is None


def test_a_dossier_holds_words_only_on_request() -> None:
    record = an_effect(
        EffectKind.RECORD, EffectState.DONE, reference="issue1", url="http://tracker/issue1", done_at=NOW
    )
    case = a_case(record=Record(system="routes/Tracker", id="issue1", url="http://tracker/issue1"))
    event = CaseEvent(case=case.id, id="e", kind=Happening.OPENED, at=NOW, mention=POST, version=1)
    cases: Any = FakeCases(case, effects=(record,), events=(event,))
    found = dossier(cases, case)
    assert WORDS not in str(found)
    assert found["waiting"] == []
    assert found["records"] == [
        {
            "system": "routes/Tracker",
            "id": "issue1",
            "url": "http://tracker/issue1",
            "live": True,
            "provisional": False,
            "retired": False,
            "unset": None,
        }
    ]
    assert [one["id"] for one in found["mentions"]] == [POST]
    assert dossier(cases, case, with_text=True)["mentions"][0]["text"] == WORDS


def test_what_a_tracker_has_no_name_for_stands_beside_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    record = an_effect(EffectKind.RECORD, EffectState.DONE, reference="issue1", url="http://tracker/issue1")
    case = a_case(labels=("newcomer",), priority="high")
    said = {"system": "routes/Tracker", "reference": "issue1", "unset": "no priority named high"}
    event = CaseEvent(case=case.id, id="e", kind=Happening.RECORDED, at=NOW, detail=said)
    cases: Any = FakeCases(case, effects=(record,), events=(event,))
    show_case(dossier(cases, case))
    shown = capsys.readouterr().out
    assert "priority high; labels newcomer" in shown
    assert "not set: that system has no priority named high" in shown


def test_a_case_is_found_by_how_its_id_begins() -> None:
    cases: Any = FakeCases(a_case("case-abcd"), a_case("case-abef"), a_case("case-xyz"))
    assert find_case(cases, "case-abcd").id == "case-abcd"
    assert find_case(cases, "x").id == "case-xyz"
    with pytest.raises(DeploymentError, match="could be any of 2 cases, such as case-abcd, case-abef"):
        find_case(cases, "ab")
    with pytest.raises(DeploymentError, match="there is no case q"):
        find_case(cases, "q")


def test_the_screen_shows_words_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    case = a_case()
    refused = an_effect(EffectKind.BATCH, EffectState.REJECTED, error="Rejected: too long", done_at=NOW)
    cases: Any = FakeCases(case, effects=(refused,))
    show_case(dossier(cases, case, with_text=True))
    shown = capsys.readouterr().out
    assert WORDS in shown
    assert shown.index("was refused for good") < shown.index("Timeline")
    show_cases(summaries(cases, 5, "open"), "open")
    assert "Rejected: too long" in capsys.readouterr().out
    show_cases([], "closed")
    assert capsys.readouterr().out == "No case is closed.\n"


@pytest.mark.parametrize(
    ("intent", "said"),
    [("purchase_intent", "reads as purchase intent, 53%"), ("uncertain", "what it wants: not sure (53%)")],
)
def test_what_a_post_wants_is_said_in_words(intent: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    case = a_case()
    found = dossier(cast("Any", FakeCases(case)), case)
    found["mentions"][0] |= {"intent": intent, "intent_sure": 0.53}
    show_case(found)
    assert said in capsys.readouterr().out


def test_a_case_that_failed_over_says_who_holds_it_and_what_went_out(capsys: pytest.CaptureFixture[str]) -> None:
    standby = "routes/Zendesk"
    first = an_effect(
        EffectKind.RECORD, EffectState.UNKNOWN, id="record#routes/Tracker", error="UnknownOutcome: no answer"
    )
    second = an_effect(EffectKind.RECORD, EffectState.DONE, id=f"record#{standby}", reference="7", provisional=True)
    second = second.model_copy(update={"target": standby, "url": "https://acme.zendesk.com/agent/tickets/7"})
    answer = an_effect(EffectKind.REPLY, EffectState.DONE, update="u", url="https://forum/t/1/3", done_at=NOW)
    moved = CaseEvent(case="c", id="e", kind=Happening.FAILED_OVER, at=NOW, detail={"from": "routes/Tracker"})
    case = a_case(systems=("routes/Tracker", standby), engaged=("routes/Tracker", standby))
    cases: Any = FakeCases(case, effects=(first, second, answer), events=(moved,))
    found = dossier(cases, case)
    assert found["engaged"] == ["routes/Tracker", standby]
    assert [(one["system"], one["provisional"]) for one in found["records"]] == [(standby, True)]
    assert [one["url"] for one in found["replies"]] == ["https://forum/t/1/3"]
    assert [one["what"] for one in found["detours"]] == ["failed over"]
    show_case(found)
    shown = capsys.readouterr().out
    assert "stands in routes/Tracker and routes/Zendesk" in shown
    assert "provisional" in shown
    assert "https://forum/t/1/3" in shown
    back = a_case(systems=("routes/Tracker", standby), engaged=("routes/Tracker",), retired=(standby,))
    cases = FakeCases(back, effects=(second,))
    show_case(dossier(cases, back))
    assert "(handed back, closed)" in capsys.readouterr().out


@pytest.mark.parametrize("kind", list(EffectKind))
def test_whatever_waits_has_a_name(kind: EffectKind) -> None:
    (only,) = waiting(a_case(), [an_effect(kind, EffectState.PARKED)])
    assert only["what"]


def test_what_is_only_counted_is_found_and_no_case_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    counted = a_case(state="counted", route="thanks", systems=(), topics=())
    cases: Any = FakeCases(counted)
    assert find_case(cases, "abcd").id == counted.id, "by the beginning of its id, as any"
    show_cases(summaries(cases, 20, "counted"), "counted")
    assert "none: only counted" in capsys.readouterr().out
    show_case(dossier(cases, counted))
    shown = capsys.readouterr().out
    assert "nothing: its route only counts; a later post may open a case" in shown
    assert "none yet" not in shown
    show_cases([], "counted")
    assert "Nothing was only counted." in capsys.readouterr().out


def test_a_state_that_is_none_is_refused_with_those_that_there_are() -> None:
    done = CliRunner().invoke(app, ["cases", "--state", "closed"])
    assert done.exit_code == 2
    assert "'closed' is no state of a case; there are open, pending, solved, counted" in done.stderr


@pytest.mark.parametrize(
    ("state", "due", "said"),
    [
        (EffectState.PLANNED, NOW, "not told; another topic has its turn"),
        (EffectState.PARKED, None, "not told; all topics were tried: `hailback redrive Undelivered`"),
    ],
)
def test_a_notification_is_to_be_redriven_only_when_no_topic_has_its_turn(
    state: EffectState, due: int | None, said: str
) -> None:
    first = an_effect(EffectKind.NOTIFY, EffectState.PARKED, id="notify#opened#a", error="NotFound")
    second = an_effect(EffectKind.NOTIFY, state, id="notify#opened#b", due_at=due)
    other = an_effect(EffectKind.NOTIFY, EffectState.PLANNED, id="notify#raised:vip#a", due_at=NOW)
    assert said in waiting(a_case(), (first, second, other), ())[0]["why"]
