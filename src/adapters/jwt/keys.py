"""Keys that verify tokens, each bound to the one algorithm that its type allows."""

import binascii
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from .settings import SHARED, is_pem

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

MIN_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""

MAX_RSA_BITS: Final = 8192
"""What is larger costs each connect milliseconds."""

MAX_KEYS: Final = 100
"""Keys of a set that are looked at."""

_READERS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}


class UnusableKey(ValueError):
    """A key that must not verify anything; the text says why, and nothing of the key."""


class VerifyingKey(NamedTuple):
    """A key and its algorithm: tokens cannot choose, so a public key never serves as a shared secret."""

    algorithm: str
    material: PublicKey | bytes

    def __repr__(self) -> str:
        return f"VerifyingKey({self.algorithm})"


KeySet = Mapping[str | None, Sequence[VerifyingKey]]
"""The keys by `kid`; None holds those without."""


def key_of(text: str, algorithms: Collection[str]) -> VerifyingKey:
    """Take a key from the settings. Raises `UnusableKey`."""
    if not is_pem(text):
        if SHARED not in algorithms:
            raise UnusableKey(f"a shared secret takes {SHARED}, which is not accepted")
        return VerifyingKey(SHARED, text.encode("utf-8", "surrogatepass"))
    if "PRIVATE KEY" in text:
        raise UnusableKey("it is a private key: give the gateway the public one")
    try:
        public = load_pem_public_key(text.encode("ascii"))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("it is no public key in PEM (BEGIN PUBLIC KEY)") from None
    return _bound(public, algorithms)


def keys_of(body: bytes, algorithms: Collection[str]) -> KeySet:
    """Take the keys of a JSON Web Key Set (RFC 7517) that may be used; the others are passed over.

    Raises `UnusableKey` where it is no such set, or holds none that can be used.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableKey("it is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise UnusableKey("it is no JSON Web Key Set")
    found: dict[str | None, list[VerifyingKey]] = {}
    for item in listed[:MAX_KEYS]:
        try:
            kid, key = _listed(item, algorithms)
        except UnusableKey:
            continue
        found.setdefault(kid, []).append(key)
    if not found:
        raise UnusableKey(f"it holds no key for {', '.join(sorted(algorithms))}")
    return found


def _listed(item: object, algorithms: Collection[str]) -> tuple[str | None, VerifyingKey]:
    if not isinstance(item, dict):
        raise UnusableKey("it is no object")
    kid, read = item.get("kid"), _READERS.get(str(item.get("kty")))
    if read is None or not isinstance(kid, str | None):
        raise UnusableKey("it has no `kid`, or is of a kind that is not public")
    operations = item.get("key_ops", ["verify"])
    if item.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKey("it is not for verifying")
    try:
        public = read(item)
    except (
        PyJWTError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        binascii.Error,
        UnsupportedAlgorithm,
    ):
        raise UnusableKey("its numbers are wrong") from None
    key = _bound(public, algorithms)
    if item.get("alg", key.algorithm) != key.algorithm:
        raise UnusableKey("its `alg` does not fit its type")
    return kid, key


def _bound(public: object, algorithms: Collection[str]) -> VerifyingKey:
    match public:
        case RSAPublicKey():
            if not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
                raise UnusableKey(f"an RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
            key = VerifyingKey("RS256", public)
        case EllipticCurvePublicKey() if isinstance(public.curve, SECP256R1):
            key = VerifyingKey("ES256", public)
        case Ed25519PublicKey():
            key = VerifyingKey("EdDSA", public)
        case _:
            raise UnusableKey("it must be RSA, EC P-256 or Ed25519")
    if key.algorithm not in algorithms:
        raise UnusableKey(f"it takes {key.algorithm}, which is not accepted")
    return key
