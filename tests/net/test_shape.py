"""The room's form: one tree of errors, and an HTTP library only where it belongs."""

from __future__ import annotations

import subprocess
import sys

from tenantgate.net import door

CODES = {
    "UrlRefused": "url_refused",
    "DnsFailed": "dns",
    "AddressRefused": "address_refused",
    "ConnectFailed": "connect",
    "TlsFailed": "tls",
    "DeadlinePassed": "timeout",
    "StatusRefused": "status",
    "RedirectRefused": "redirect",
    "TooLarge": "too_large",
    "ProtocolViolated": "protocol",
}


def test_every_failure_is_in_the_tree_with_its_code():
    """The codes are stable: health, metrics and docs name them."""
    assert {each.__name__: each.code for each in door.NetError.__subclasses__()} == CODES


def test_asking_for_a_fetch_costs_no_http_library():
    """Whoever only names the door (discovery, the gate) does not import httpx."""
    code = (
        "import sys, tenantgate.net.door, tenantgate.net.address, tenantgate.net.resolve, tenantgate.discovery.keyring;"
        "print([name for name in sys.modules if name.split('.')[0] in ('httpx', 'httpcore', 'anyio')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
