"""Whoever issues tokens: keys of every kind, tokens made of them, and a key set over HTTP on the loopback."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

USER = "3f2b8c1e-0000-4000-8000-00000000000a"
AUDIENCE = "eventbridge"
SECRET = "a-secret-that-both-sides-know-1234567890"

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem(key: PrivateKey) -> str:
    """The public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    """The key itself as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(key: PrivateKey, kid: str | None = None, **members: object) -> dict[str, Any]:
    """The public half as an entry of a key set."""
    public = key.public_key()
    match public:
        case rsa.RSAPublicKey():
            found = RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            found = ECAlgorithm.to_jwk(public, as_dict=True)
        case _:
            found = OKPAlgorithm.to_jwk(public, as_dict=True)
    found.pop("key_ops", None)
    return {**found, **({} if kid is None else {"kid": kid}), **members}


def claims(**changes: object) -> dict[str, Any]:
    """Those of a good token; a claim changed to None is left out."""
    now = int(time.time())
    good = {"sub": USER, "aud": AUDIENCE, "exp": now + 600, "iat": now, "jti": "token-1"}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(
    key: Any = SECRET, algorithm: str = "HS256", header: dict[str, Any] | None = None, **changes: object
) -> str:
    """A token with the claims of `claims`."""
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=header)


def raw_token(header: object, payload: object, signature: bytes = b"") -> str:
    """Three parts, signed by nobody."""
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class KeySetServer:
    """A key set over HTTP: what it holds, how it answers, and how often it was asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.status = 200
        self.body: bytes | None = None
        self.location: str | None = None
        self.asked = 0
        self.asked_now = threading.Event()
        self.release = threading.Event()
        self.release.set()
        self.url = ""

    def answer(self) -> bytes:
        """What the next request gets."""
        return json.dumps({"keys": self.keys}).encode() if self.body is None else self.body


@contextmanager
def serving(issuer: KeySetServer) -> Iterator[KeySetServer]:
    """Serve it on a free port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            issuer.asked_now.set()
            issuer.release.wait(10)
            self.send_response(issuer.status)
            if issuer.location is not None:
                self.send_header("Location", issuer.location)
            self.end_headers()
            try:
                self.wfile.write(issuer.answer())
            except OSError:
                self.close_connection = True  # whoever asked has gone, or has read enough

        def log_message(self, *_: object) -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride]  # silent

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}/jwks"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        issuer.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
