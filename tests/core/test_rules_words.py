"""What an operator reads: every refusal of a policy says in words what is wrong, and these are the words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tenantgate.core.policy import PolicyError, decode_row, kind_of
from tenantgate.core.references import check_references
from tenantgate.core.rules import check_row
from tests.core.test_policy import BAD, SOUND
from tests.core.test_rules import CLOUD, ROWS, WHOLE, changed_policy

OF_A_ROW = """
'192.0.2.1/32' is listed twice
'2.0' is listed twice
'HS256' is no public-key signature
'J W T' cannot be a typ
'a' is listed twice
'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee' is listed twice
'b' is listed twice
'clients' is listed twice
'entra' is listed twice
'https://keys.example' must be a host name, with a port if need be
'ke ys' must be a host name, with a port if need be
'keys.example' is listed twice
'none' is no public-key signature
a header of its own holds the token alone
a hosted tenant is the publisher's own: its daemons name their partners
a tenant belongs to a partner, unless it is hosted
an assignment names a daemon or a tenant
an assignment names a daemon or a tenant, not both
an id is 1 to 63 of a-z 0-9 . _ - and begins with a letter or digit
an issuer of kind entra needs its authority
an issuer of kind oidc needs its exact issuer
can be changed by those it names, so nothing may hang on it
cannot be a header that holds the token alone
cannot be an authentication scheme
does not go with kind entra
does not go with kind oidc
has a meaning of its own (RFC 7519 §4.1)
is not an address
is nothing that may be reported only (`core.policy.ResourceRule`)
must be 1 to 200 visible ASCII characters, without " and \\
must be 1 to 4 characters
must be 1 to 64 of A-Z a-z 0-9 . _ -
must be 1 to 8 names, none of them empty
must be IPv4 as such, or IPv6 without a zone
must be a GUID, as 8-4-4-4-12 hexadecimal digits
must be a key set: an object with a list `keys`
must be an absolute address without user, fragment or query
must be an address or a network in CIDR form, without bits behind its prefix
must be between 0 and 253402300799
must be between 0 and 600
must be between 3600 and 2678400
must be certificates in PEM, at least one
must be http:// or https://, a host and a port; a password would stand in the policy
must not have more than 262144 characters
holds a private key
plain http stays on this machine and takes no proxy
must be between 1 and 2678400
must be between 401 and 499
must be in Unicode normalisation form C
must be later than not_before
must be one of 1.0, 2.0
must be one of active, suspended
must be one of all, any
must be one of entra, oidc
must be one of ignore, intersect
must be one of invited, active, suspended, archived
must be one of none, secret, certificate
must be one of standard, rfc9068, keycloak, okta, auth0, google, github_actions, kubernetes, cognito
must be one of strict, compatible
must be up to 120 characters, no space, comma, " or \\
must begin with https://
must hold {tenantid} exactly once
must not be empty
must not be longer than 200 characters
must not be longer than 256 characters
must not hold more than 64
needs a v1_issuer
plain http is allowed on this machine only
profile rfc9068 takes no typ but at+jwt
the character U+0000 is not allowed here
the character U+000A is not allowed here
the character U+202E is not allowed here
the character U+D800 is not allowed here
the host must be in lower case
this cloud was closed in October 2021
this is the tenant of personal Microsoft accounts
v1 and v2 need issuers that differ
white space is not allowed here
{tenantid} belongs into the path
~ stands for itself only as ~0, and / as ~1 (RFC 6901)
"""
OF_A_POLICY = """
11111111-2222-4333-8444-5555555555ab is already taken by contoso-entra
11111111-2222-4333-8444-5555555555ab is already taken by orders
Orders.Read is already taken by orders-read
a daemon of issuer keycloak needs its subject
a hosted tenant's daemon names its partner
a tenant of an Entra issuer needs its tid
aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee is already taken by nightly
an Entra daemon is pinned by its object id
an OIDC issuer is itself the tenant
api://orders is already taken by orders
contoso is already the id of partners[0]
https://id.fabrikam.example/realms/main is already taken by keycloak
issuer entra already covers this
issuer keycloak already covers this
keycloak is already taken by fabrikam
must be a GUID, as 8-4-4-4-12 hexadecimal digits
must be the number of the account, in digits (profile google)
only an Entra tenant has object ids; name the subject
r is already taken by readers
resource orders does not allow it
tenant own is hosted
the partner is the tenant's; only a hosted tenant's daemons name one
there is no app_role nothing
there is no daemon nobody
there is no issuer keycloak
there is no issuer nothing
there is no partner contoso
there is no partner nobody
there is no resource nothing
there is no tenant nobody
"""
OF_A_FEED = """
'Partner' is not a kind this version knows
'widget' is not a kind this version knows
a row has no member 'extra'
delete of partner p carries data
put of partner p without its data
put of partner q without its data
row version '1' is not 1
row version 1.0 is not 1
row version 2 is not 1
row version True is not 1
"""


def test_a_refused_row_says_why():
    """One spoiled member, and these words at it."""
    said = set()
    for row, changed, _, _ in ROWS:
        with pytest.raises(PolicyError) as caught:
            check_row(replace(row, **changed))
        said.add(caught.value.message)

    assert said == set(OF_A_ROW.strip().splitlines())


def test_an_authority_with_a_tenant_says_why():
    """The commonest slip: the address of the sign-in page, copied with a tenant in it."""
    with pytest.raises(PolicyError) as caught:
        check_row(replace(CLOUD, authority="https://login.microsoftonline.com/common"))

    assert caught.value.message == "must be the login address alone, without a tenant"


def test_what_is_no_row_says_what_it_is():
    """A value of another type than the seven kinds is named by its type."""
    with pytest.raises(PolicyError) as caught:
        kind_of("acme")  # type: ignore[arg-type]

    assert caught.value.message == "str is not a kind of row"


def test_a_refused_policy_says_why():
    """Rows that do not fit together, and these words at one of them."""
    said = set()
    for changes, more, _, _ in WHOLE:
        rows = [check_row(row) for row in changed_policy(changes, *more)]
        with pytest.raises(PolicyError) as caught:
            check_references(rows)
        said.add(caught.value.message)

    assert said == set(OF_A_POLICY.strip().splitlines())


def test_a_refused_row_of_a_feed_says_why():
    """A row from a feed that cannot be read, and these words; where the reader of JSON has some, they follow ours."""
    said = set()
    for _, changes, _ in BAD:
        row = {name: value for name, value in {**SOUND, **changes}.items() if value is not ...}
        with pytest.raises(PolicyError) as caught:
            decode_row(row)
        said.add(caught.value.message.removeprefix("a row cannot be read: "))

    assert said >= set(OF_A_FEED.strip().splitlines())
    assert "Object missing required field `name`" in said
