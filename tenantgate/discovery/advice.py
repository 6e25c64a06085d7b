"""What to do about each way in which an issuer's keys cannot be had: one sentence a code, for operators."""

from __future__ import annotations

from typing import Final

ADVICE: Final[dict[str, str]] = {
    "url_refused": "Write the address as https://host/path, without user or fragment.",
    "dns": "Look the name up on this machine; a site without internet gives keys as a file (`--jwks-file`).",
    "address_refused": "Where the issuer, or its proxy, is an inner one: `--allow-private-addresses` (policy: "
    "`allow_private_addresses = true`). Link-local ones are never dialled.",
    "connect": "Look whether a firewall lets this machine out to that host and port, and which proxy it has to use.",
    "tls": "Have the certificate renewed, or name the issuer's own authorities (`ca_bundle`).",
    "timeout": "Look whether something between here and there swallows packets; a proxy may have to be named.",
    "status": "Look whether the address is still the issuer's: it answers, but not with a document.",
    "redirect": "Give the address that the answer points to, if it is the issuer's: redirects are not followed.",
    "too_large": "Look what stands at that address: no metadata or key document has a mebibyte.",
    "protocol": "Look whether a web server answers there, and what stands between (a filtering proxy, a sign-in page).",
    "metadata_malformed": "Look what stands at that address: it must be one JSON document with issuer and jwks_uri.",
    "issuer_mismatch": "Write `issuer` to the letter as the document has it, or find the right issuer's document.",
    "jwks_uri_refused": "If that host is the issuer's, list it in `jwks_hosts`.",
    "key_set_malformed": "Ask the issuer for a key set with a public signature key: RSA from 2048 bits, EC or Ed25519.",
    "unexpected": "This is a defect of ours: please report it with the log's lines around it.",
    "plain_http": "For tests only: whoever can listen on this machine can give any keys.",
    "certificate_ends": "Tell the issuer's administrator: from that day on no key can be fetched.",
    "clock_offset": "Let both clocks follow a time server: tokens are refused as expired, or as not valid yet.",
    "keys_dropped": "Tokens signed by these are refused; the issuer's administrator can publish them properly.",
    "keys_none": "Every token of it is refused: trust a key again (`tenantgate issuer trust-key`), or give another.",
    "keys_distrusted": "What these signed is refused until they are trusted again (`tenantgate issuer trust-key`).",
}
"""By code: those of `net.door` and `discovery.errors`, and the warnings of `discovery.probe`."""
