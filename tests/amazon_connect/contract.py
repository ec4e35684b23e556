"""What the contract needs to know of Amazon Connect."""

from __future__ import annotations

from tests.contract.registered import Given

INSTANCE = "arn:aws:connect:eu-central-1:111122223333:instance/0c1f5a7e-1111-2222-3333-0123456789ab"
OURS = "+4930901820"

GIVEN = Given(
    settings={"Instance": INSTANCE, "TaskFlow": "6f1c0000-0000-4000-8000-00000000000c"},
    credentials={"access_key_id": "AKIAINVENTED", "secret_access_key": "invented-too"},
    accounts=(OURS,),
    quiet={"Contacts": []},
    sought={"ContactId": "00000009-0000-4000-8000-000000000000"},
)
