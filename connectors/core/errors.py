"""What a failed remote call means for the caller. The type says what to do next.

    RemoteError
     ├─ UnavailableError      known not to have committed: park, try again, later fail over
     ├─ UnknownOutcomeError   bytes left, no usable answer: never repeat before `find`
     │   ├─ SpentPermitError  the single-use permit is spent or expired: as above, and then with a new permit
     │   └─ UndecidableError  a look-up that will never tell: never repeat, a person has to look
     ├─ MisconfiguredError    credentials, permissions, schema: alarm; repeating does not help
     └─ RejectedError         the vendor refuses this content: written on the case, never retried
         └─ RecordGoneError     the record that it was for is not there any more, whatever the content
             └─ RecordClosedError  it is there, but closed for good; another record may follow it

Messages name a system, a status and a remedy. They never carry a secret, a header or a customer's text.
"""

from __future__ import annotations

from connectors.core.health import TokenState


class RemoteError(Exception):
    """A remote call did not succeed."""


class UnavailableError(RemoteError):
    """Refused, DNS, TLS, 429, or a status that the connector declares safe: nothing was committed.

    `retry_after` is in seconds, as the vendor asked, or None where it did not ask.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownOutcomeError(RemoteError):
    """The request may or may not have been carried out; only a look-up can tell."""


class SpentPermitError(UnknownOutcomeError):
    """The system no longer honours the permit: an earlier write used it up, or it expired.

    This call wrote nothing and no later one can with this permit, so it may be dropped; whether an earlier call wrote
    is for `find` to say, before a new permit is used. To be raised only after the system itself has answered: breakers
    take it for a sign of life."""


class UndecidableError(UnknownOutcomeError):
    """A look-up cannot tell whether an earlier write was carried out, and no later one will: a person has to look."""


class MisconfiguredError(RemoteError):
    """Credentials, permissions or schema: an administrator has to act.

    `token` says what is wrong with the credentials, where the vendor's answer tells."""

    def __init__(self, message: str, token: TokenState | None = None) -> None:
        super().__init__(message)
        self.token = token


class RejectedError(RemoteError):
    """The vendor understood and refused this content."""


class RecordGoneError(RejectedError):
    """The record is not there any more: deleted, retired, or moved away."""


class RecordClosedError(RecordGoneError):
    """The record is closed for good and takes nothing more; a new one can carry on from it (`CaseDraft.follows`)."""


class PayloadError(ValueError):
    """A delivery that is not what its vendor documents, in one sentence fit to be shown."""


class ConflictError(Exception):
    """A conditional write lost a race: re-read and decide again."""
