"""What each connector says about itself is true: its events, its samples, its gaps, its README."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

import connectors
from connectors.core import manifest
from connectors.core.manifest import NOT_ACTED_ON, Becomes, ManifestError
from connectors.core.models import AnyEvent, Author, Mention, RecordUpdate, Unsupported, describe
from connectors.tool.samples import read_script
from tests.contract.registered import CHECKOUT, NAMES, RECEIVERS, event_of, sample_paths, spoken, told_by

SECTIONS = {
    "set-up": r"\bset[ -]?up\b",
    "events": r"\bevents?\b",
    "limits": r"\blimits\b",
    "removal": r"\bremov(e|al)\b",
}
"""What a README has a heading for, of the second or third level."""
PRIVATE = re.compile(r"(^|[._])(dms?|direct_messages?|messaging|whispers?)([._]|$)", re.IGNORECASE)
"""The names of events that are for one reader, in the words that vendors use for them."""
RIGHTS = r"\b(permissions?|scopes?)\b"


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_is_valid(name: str) -> None:
    told = manifest.load(name)
    assert bool(told.events) == (name in RECEIVERS)
    assert told.proof.endswith("."), "the proof is a sentence"
    assert told.title in (CHECKOUT / "connectors" / name / "README.md").read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_event_has_a_sample_and_every_sample_is_declared(name: str) -> None:
    assert {event_of(path) for path in sample_paths(name)} == set(manifest.load(name).events)


@pytest.mark.parametrize("name", RECEIVERS)
def test_samples_become_what_is_declared(name: str) -> None:
    """An event may also come in a shape that is not ours to act on (a private message), but not only so."""
    declared = manifest.load(name).events
    became: dict[str, set[str]] = {event: set() for event in declared}
    for path, events in told_by(name):
        kinds = {event.type for event in events}
        assert kinds, f"{path.name} says nothing at all; what is not acted on is `unsupported`"
        assert kinds <= {_type_of(declared[event_of(path)]), "unsupported"}, path.name
        became[event_of(path)] |= kinds
    assert {event for event, kinds in became.items() if _type_of(declared[event]) not in kinds} == set()


@pytest.mark.parametrize("name", RECEIVERS)
def test_nothing_of_a_private_message_is_kept(name: str) -> None:
    """Also where the manifest says no more of it than that it is not acted on."""
    declared = manifest.load(name).events
    for path, events in told_by(name):
        if is_private(event_of(path), declared[event_of(path)]):
            assert is_nothing_kept(events), path.name


@pytest.mark.parametrize("event", ["dm.received", "direct_message_events", "messaging", "room_dm", "whisper"])
def test_what_is_called_a_private_message_is_one_however_it_is_declared(event: str) -> None:
    assert is_private(event, "unsupported")
    assert not is_private(event, "mention"), "that it is read out is for the other tests to find fault with"


def test_a_declared_private_event_is_one_whatever_it_is_called() -> None:
    assert is_private("secret.told", "private")
    assert not is_private("message.posted", "unsupported")
    assert not is_private("admin.login", "unsupported")


def test_a_private_message_that_is_kept_is_seen() -> None:
    gone = Unsupported(connector="a", event="dm", reason="private", keep_raw=False)
    assert is_nothing_kept([gone, gone])
    assert not is_nothing_kept([gone, gone.model_copy(update={"keep_raw": True})])
    assert not is_nothing_kept([gone, Mention(connector="a", native_id="1", conversation_id="2")])
    assert not is_nothing_kept([])


def is_private(event: str, becomes: Becomes) -> bool:
    return becomes == "private" or (becomes == "unsupported" and PRIVATE.search(event) is not None)


def is_nothing_kept(events: Sequence[AnyEvent]) -> bool:
    return bool(events) and all(isinstance(event, Unsupported) and not event.keep_raw for event in events)


def _type_of(becomes: Becomes) -> str:
    """What `parse` makes of it."""
    return "unsupported" if becomes == "private" else becomes


@pytest.mark.parametrize("name", RECEIVERS)
def test_every_field_is_filled_by_a_sample_or_said_to_be_unset(name: str) -> None:
    told = manifest.load(name)
    events = [event for _, found in told_by(name) for event in found]
    wanted = set().union(*(manifest.fillable(type(event)) for event in spoken(events)))
    filled = set().union(*(_filled(event) for event in spoken(events)))
    assert wanted, "no sample is a mention, or an update of a record"
    assert wanted - filled - set(told.unset) == set(), "neither filled by a sample nor in `unset` with the reason"
    assert filled & set(told.unset) == set(), "in `unset`, but a sample fills it"
    assert set(told.unset) <= wanted, "`unset` names a field that this kind of event does not have"


@pytest.mark.parametrize("name", RECEIVERS)
def test_events_bear_the_connectors_name(name: str) -> None:
    for path, events in told_by(name):
        for event in events:
            assert event.connector == name, path.name
            shown = describe(event)
            assert event.type == "unsupported" or str(shown["id"]).startswith(f"{name}:"), path.name


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_has_what_an_administrator_looks_for(name: str) -> None:
    text = (CHECKOUT / "connectors" / name / "README.md").read_text(encoding="utf-8")
    found = "\n".join(re.findall(r"^#{2,3} (.+)$", text, re.MULTILINE))
    missing = [what for what, word in SECTIONS.items() if not re.search(word, found, re.IGNORECASE)]
    assert missing == []
    assert re.search(RIGHTS, text, re.IGNORECASE), "names the permissions or scopes that it needs"
    assert f"Connector: {name}" in text, "shows the lines of the template"


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_what_becomes_of_each_delivery(name: str) -> None:
    """Each event by its name, or its family's (`topic_*`, `feed`); answers of the vendor's API in words."""
    text = (CHECKOUT / "connectors" / name / "README.md").read_text(encoding="utf-8")
    script = CHECKOUT / "events" / name / "script.txt"
    delivered = {event_of(path) for path in (read_script(script.parent) if script.is_file() else sample_paths(name))}
    declared = {event: becomes for event, becomes in manifest.load(name).events.items() if event in delivered}
    unsaid = [
        event
        for event, becomes in declared.items()
        if becomes not in NOT_ACTED_ON and not any(part in text for part in (event, event.split(".")[0]))
    ]
    assert unsaid == []


def test_every_vendors_folder_is_registered() -> None:
    folders = {path.parent.name for path in (CHECKOUT / "connectors").glob("*/connector.json")}
    assert folders == set(NAMES)
    assert set(connectors.REPLIERS) | set(connectors.POLLERS) <= set(connectors.SOURCES)


def _filled(event: Mention | RecordUpdate) -> set[str]:
    """The fields that say something: not null, not empty, and not what stands there by default."""
    found = {name for name, field in type(event).model_fields.items() if _says(getattr(event, name), field.default)}
    author = event.author
    if author is not None:
        found |= {f"author.{name}" for name in Author.model_fields if getattr(author, name) is not None}
    return found & manifest.fillable(type(event))


def _says(value: object, default: object) -> bool:
    return value not in (None, "", {}) and value != default


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "connectors/acme/connector.json is not JSON"),
        ("[]", "the document"),
        ('{"title": "A", "status": "real", "proof": "It was seen.", "title": "B"}', '"title" stands in it twice'),
        ('{"title": "A", "status": "good", "proof": "It was seen."}', "status Input should be 'real', 'described'"),
        ('{"title": "A", "status": "real"}', "proof is missing"),
        ('{"title": "A", "status": "real", "proof": "yes"}', "proof must be one sentence"),
        ('{"title": "A", "status": "real", "proof": "It was seen.", "more": 1}', "more is not a field of a manifest"),
        ('{"title": "A", "status": "real", "proof": "It was seen.", "events": {"a": "post"}}', "events.a Input"),
        ('{"title": "A", "status": "real", "proof": "It was seen.", "events": {"a__b": "mention"}}', "events.a__b is"),
        ('{"title": "A", "status": "real", "proof": "It was seen.", "unset": {"txt": "It has none."}}', "unset.txt is"),
        ('{"title": "A", "status": "real", "proof": "It was seen.", "unset": {"text": "no"}}', "unset.text must be"),
    ],
)
def test_a_mistake_in_a_manifest_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        manifest.read(text, "connectors/acme/connector.json")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "..", "x/../x", "nobody"])
def test_a_connector_without_a_manifest_is_named(name: str) -> None:
    with pytest.raises(ManifestError, match=r"missing|not the name"):
        manifest.load(name)


def test_a_field_that_an_event_always_has_cannot_be_unset() -> None:
    events: list[AnyEvent] = [Mention(connector="a", native_id="1", conversation_id="2")]
    assert "native_id" not in manifest.fillable(type(spoken(events)[0]))
