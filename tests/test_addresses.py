"""Which addresses a system of record may have."""

from __future__ import annotations

import pytest

from connectors.addresses import RefusedError, check

PRIVATE = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"]
NEVER = ["169.254.169.254", "169.254.1.1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "fd00:ec2::254"]
WRAPPED = ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_permission(address):
    with pytest.raises(RefusedError, match="AllowPrivateSystems"):
        check("crm.example", address, allow_private=False)
    check("crm.example", address, allow_private=True)


@pytest.mark.parametrize("address", NEVER + WRAPPED)
def test_addresses_that_no_setting_allows(address):
    for allowed in (False, True):
        with pytest.raises(RefusedError):
            check("crm.example", address, allow_private=allowed)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_public_addresses_are_fine(address):
    check("crm.example", address, allow_private=False)
