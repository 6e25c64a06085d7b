"""The corpus's keys. They are published, and protect nothing: never use one of them for anything but tests.

Fixed, so that the same tokens come out of every run. The RSA primes were drawn once; `ROCA` was made in the weak
form of CVE-2017-15361 on purpose, and `SMALL` and `EXPONENT_3` are what their names say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tenantgate.emulator.hostile.signing import pss, raw_ecdsa
from tenantgate.emulator.keys import SigningKey, self_signed
from tests.builders import CONSUMER_TID, INITECH_TID, Private, public_members

CERTIFIED_AT: Final = 1_767_225_600
"""Epoch seconds at which the certificates begin; they serve for five years."""


def rsa_key(p: str, q: str, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """Return the private key of two primes in hexadecimal."""
    one, other = int(p, 16), int(q, 16)
    d = pow(exponent, -1, (one - 1) * (other - 1))
    exponents = rsa.rsa_crt_dmp1(d, one), rsa.rsa_crt_dmq1(d, other), rsa.rsa_crt_iqmp(one, other)
    return rsa.RSAPrivateNumbers(one, other, d, *exponents, rsa.RSAPublicNumbers(exponent, one * other)).private_key()


@dataclass(frozen=True)
class OidcKey:
    """A key of an OIDC issuer: signs with `alg`, and is published under `kid`."""

    kid: str
    alg: str
    private: Any

    def sign(self, signing_input: bytes) -> bytes:
        """Return the JWS signature, the same every time (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1)."""
        if self.alg == "EdDSA":
            return self.private.sign(signing_input)  # type: ignore[no-any-return]
        if self.alg.startswith("ES"):
            return raw_ecdsa(self.private, signing_input, self.alg[2:])
        if self.alg.startswith("PS"):
            return pss(self.private, signing_input, self.alg[2:])
        return SigningKey(self.private, b"").sign(signing_input)

    def jwk(self, **extra: Any) -> dict[str, Any]:
        """Return the public key as its issuer publishes it; `extra` members on top, those of None left out."""
        return published(self.kid, self.private, **{"alg": self.alg, **extra})


def published(kid: str, private: Private, **extra: Any) -> dict[str, Any]:
    """Return a public key as a JWK for signatures; `extra` members on top, those of None left out."""
    whole = {**public_members(private), "use": "sig", "kid": kid, **extra}
    return {name: value for name, value in whole.items() if value is not None}


_CLOUD: Final = rsa_key(
    "bb085a840bd37aadb71e244cf9aa7202bdb296e4a552195909a3014a7c312643f6d992203d09945072b3b785bb523065eee0"
    "941480e85b56e87f491871fafe5b5f5495b82f0ed8a7b11075ee1f4c8e2d585319abb234f551cdc7238de659d886a9fa8f79"
    "d766a23047f6ff2dae50306a775f8f57f8830a030e11593d0b251605",
    "b58764772c95ad5a831f715a71c64ab0d6c315a3c8c5b9be4603a6c127ca2fa122b04ed29096c802a4c8c137b7153ea813bf"
    "ec640f9bb85e221520bf273d5762055d479aaa37b771ff7f9e0b561feee6cbfbda8a96b41d660363cc07c756db44b406a41e"
    "7dc6134c76505ccdd30700dffe22f386e9b52b687980f313539b1575",
)
_CONSUMERS: Final = rsa_key(
    "d1625f59f512e0a169a7fd39a2d42686a4cceb256fd70d38d768687499e607572e31f4d4c94dace016c144b34600587c4947"
    "5a62f1707988b9de4571789b572315cd4db56b06f4c75fee2b1572f94e850fb833929f674a22e56ffd674b0be3e929da2911"
    "5a686843b624975b55ce1067fe8941c9d9f9e75acc434a4309ac9f63",
    "d00434ba35aad9b1cdb17af64fb7ddb881a33b597da22a2fe5e0cab6b76f388de2f7860cff114a1d20c7d143dd4ce0bda30b"
    "f3c503faacd45d0311d80ef6877e89915be2084c6adcad4985922f7a8082822c6e5edba89fb3d50ef0d4c160a384e0f8f41d"
    "891dd2a89911b7d6b95ade6dc4c8761bdd3449614f27e48eeb720ead",
)
_SECOND_CLOUD: Final = rsa_key(
    "ec8a7dada3151365bf552a4b4b84b59248f01b2f0e3f32cbc291be7ba39c75239fc52e1dc9e8c602aaac7ca15bde193e526e"
    "a9bf1972c47aeadc3a379d80fedcd212e586693d78c1ef6ee8425906b8646538e069d39691e215d9426d25845f4640554cb1"
    "7dbea31c099154f4608968addd4693b1a195a4b188bec0126778a331",
    "d1cbbbcc70f421470021cab5886bfa40ba493b6ed8b0d61f62233cf5a59b2f610fe3448643ca2521164798e48e17c796e3c2"
    "3eae33fe319a3fd247ddd1e4c6efaba1d8cc5bec6673b41b64122b4f1961da3113b8e9d4a9f6ded451f5959c1e8e8b62edc9"
    "38e9638ebe67b255436b232a8dfa17f01a5e79bc340323fe8f68212b",
)
_STRANGER: Final = rsa_key(
    "fa8cbee3eb0f4a15b155e11767d396a8d5e1ce93960d3f9f56afb494dcf83c0092af44cafa3803b65da0dcf96486a90a4cf6"
    "028ea3ab4b22eddc99854c0d74c12d90685775e26e052555d2981396603b4b26d3d8c2d032e8d829291c134006bd135fd263"
    "3a2d8c0602c781cca0f2f4ee49f84721d4024c0705da58b08e892063",
    "de3450ed2e7f710f37acede41b273886970fa380542e93b35800acfde45d9cc694f00c7b94117b5b59d0b60c3beed06c0a71"
    "7ba30cb7ba7507c373bf00c192e69b0114cb9a486e3d104f8ee43eae421768dac5ca0e3d546a8a1599675c1f4a51a5c44e13"
    "b94144a43ce6fc6f23ae2b2725b89793fa7248af91db6e75f7893997",
)
_PSS: Final = rsa_key(
    "c09a68c957bd813f23024b8c48ee23d4b4097655f113d711cdc64c7b0a9fbe40b43f43156aaaa6e4b8c9e243fbce4af45500"
    "f78dc0627b41723bcb3aba960b610fac6f860623fce7a24cdbb244e46904c945d67ff51a54f922b5adf2c4b6b6bb31bdc015"
    "4ff8bbbc926fd420697ef29632e7f58662f6baf5077ae81797e2e14d",
    "bc2e736f1676e94f8d65e9d0623f8907cf765a2e2ea11cd70ebe6f64d6f0270057df3d8ea9ce23be2174b36d47257f95ee48"
    "96c0e08498c335eaad438f85fa9dc54deaa02e39fcf01e3e8893cb347de14e03dfff3d4c09db0640819e3fc28a600944e05b"
    "2d486e1124d25f3980eb02e2612e9823a9d5147f1fe1c5698875baa3",
)
_MIXED: Final = rsa_key(
    "f4f7d757852dd7878aee5ea29f4789f941e8976f9b0f23db9b016c0891ef074016fc1916ee24dc92d7a80816934889c99c05"
    "32567e5feef1e2a6b03d79233ebc8fd05fbb993353c267647a8e2d40f71ee085ca9118b6ebc1c96027ce425a278682d9738e"
    "7fcfca5f8a0634750d1e28031e417a212eb6876451faf06363305eb1",
    "ddf990fe381749a06d592f91029dfc8cd1467c67e8bdcc97dbe571f4db5a5c4a019a3b58baa3e5f611927a3e7ecc87d62e4f"
    "c96342915b42b99b8c75a60923692c7614cf78c54fa8e58c7d99924e2493c53ac3f3aa97f1b65216189b8a2e2bb51956f4b5"
    "2b220f46eafeecefa1879d2d5e9470d0c61785f7910d851929d17187",
)
_SPARE: Final = rsa_key(
    "ddbac8f13ad205efca967b4be25d0b2c13bc04852c5cb11e59087ca69d64c4e34d17e8b012a950a591dcab2f161be8db46ca"
    "a937ef47f6f4d993604b6966a5719df0faca1e84ed1e1c76ae72212ff2012c2accea019bea273504b746033aa7b5a59c6c75"
    "7e89788a979bb5f2f5bc338b88a17043a66d61015c69537969434431",
    "cac4617a7b47d40ebcbbe4932ca738574579b1e1c817187943059f3ab48229d9ab92bf4a2e263db12d0c3f4e6f77e483a023"
    "dd344aa92d03cb96690c15d979ca5cc65e5d3c6792528663285c2c3bda4b29987cd390b60f4a01f21a897078a59c441c1d17"
    "f5080688a6f33f8cffc7196b0178cabe1b908a4b11ed3d3fcf594d49",
)
_SMALL: Final = rsa_key(
    "fef9f4b41efa96ec4ce1bc85246dee5b3a0e7abfd2f789ed1211e6e7436de8f308baa9ce2cdb35fef103a3e03bac0fc100c5"
    "9c8b9da0dddecd3ed2167e7fff9d",
    "d1cc175e053bb58651aa1e2ad18b5ae7c093501522bd1d12ea6a6d557ed16794e2ba5b0942510c38fe4cc0c9343cf3775dd7"
    "497c573764d349795e873f8ff433",
)
_EXPONENT_3: Final = rsa_key(
    "ddd749e35ee4effd49947ce114001605fdda5daa7025ab252edd9b5fdf8095fc026042a2b85d97182395cd11d510d0c8f338"
    "e2fc4e5ee03c09979b2fde093fae0c30e9ec33b26bd376bec1fac4963b18b83a366095acb5ab85048ae640f17d59b2440a6d"
    "b5720302d93727680f0eb7beb976a4af0ebbab5d39096c06604b171b",
    "d6bf82b737942887079bf0e526c3f041dbda0d5a1618305299878b7ce6eafe04d8a381f4e63902086b55ec4f0e9ccc44c975"
    "e394c591d3ae641ca631635ad679ddd017bb04b7ced0b96e49aea29615a8d276f5c62cee6f1cf2cfad5e531a27a3d340959c"
    "87460b4e5ab1271c2245dc920149f999cf3a1ce5e59cb5f2e5e3395f",
    exponent=3,
)
_ROCA: Final = rsa_key(
    "c001d779deafa504ccdea3767d917044986d714baa01d6ffb8bf99f5372c75240eec97f9d2530aaa81b35e27659e25f7022f"
    "666950c2f281e8d2586c85e441ab931c6911106e0cd9c141bc6e1bf65b4504d2f86ade16efdbd7c4bfa4fed21a3e322f3139"
    "a8f8a0c0756ab104776e61725235cb9057bc6acdddb821cedbc066df",
    "c00592bc9b8eb26bce4928585efeac317b62ac88a962219546523b3c9c63595cc7e106257ddedf846c30ff5daa4f44b1d204"
    "1c4c1876ae7ae9f95806386f72d5aef72f7008e3ea75a746d58572ce8f03cb26a50f77487430683cd39ad1d9dec4efabc2d7"
    "b911d8d1c583fe9af623d64597d82cec239eec0866407c80525d54c1",
)

# What the cloud publishes, and what nobody does: shaped like Entra's, with a certificate each.
CLOUD: Final = self_signed(_CLOUD, now=CERTIFIED_AT, serial=1)
CONSUMERS: Final = replace(self_signed(_CONSUMERS, now=CERTIFIED_AT, serial=2), only_tid=CONSUMER_TID)
INITECH: Final = replace(self_signed(_SPARE, now=CERTIFIED_AT, serial=3), only_tid=INITECH_TID)
SECOND_CLOUD: Final = self_signed(_SECOND_CLOUD, now=CERTIFIED_AT, serial=4)
STRANGER: Final = self_signed(_STRANGER, now=CERTIFIED_AT, serial=5)

# One issuer for each kind of key.
GLOBEX: Final = OidcKey("globex-1", "ES256", ec.derive_private_key(0x610BE8, ec.SECP256R1()))
HOOLI: Final = OidcKey(
    "hooli-1", "EdDSA", ed25519.Ed25519PrivateKey.from_private_bytes(b"test key of hooli: protects none")
)
UMBRELLA: Final = OidcKey("umbrella-1", "PS256", _PSS)

# Soylent's document has one good key, and many that must not be used.
SOYLENT: Final = OidcKey("soylent-1", "RS256", _MIXED)
ENCRYPTING: Final = OidcKey("soylent-enc", "RS256", _SPARE)
WRAPPING: Final = OidcKey("soylent-wrap", "RS256", _SPARE)
TWICE: Final = OidcKey("soylent-twice", "RS256", _SPARE)
SMALL: Final = OidcKey("soylent-1024", "RS256", _SMALL)
EXPONENT_3: Final = OidcKey("soylent-e3", "RS256", _EXPONENT_3)
ROCA: Final = OidcKey("soylent-roca", "RS256", _ROCA)
PRIVATE: Final = OidcKey("soylent-private", "RS256", _SPARE)
ONLY_PSS: Final = OidcKey("soylent-ps256", "RS256", _SPARE)
FOR_ANOTHER: Final = OidcKey("soylent-for-another", "RS256", _SPARE)
SECRET: Final = b"a secret that stands in a published document"
SECRET_KID: Final = "soylent-oct"
SMALL_ORDER_KID: Final = "hooli-small-order"
SMALL_ORDER: Final = bytes([1]) + bytes(31)
"""The neutral point of Ed25519 as a public key: one signature holds for every message (RFC 8032 §5.1.7)."""
