"""A certificate authority for one test run, and a server certificate for the loopback address."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: what a client trusts, and what the server shows for `localhost` and `127.0.0.1`."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def create(cls, directory: Path) -> Certificates:
        """Make an authority and a server certificate, valid for two days, by the `openssl` program."""
        made = cls(directory / "ca.pem", directory / "server.pem", directory / "server.key")
        authority_key = directory / "ca.key"
        request = directory / "server.csr"
        extensions = directory / "server.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        subject = "/CN=EventBridge test authority"
        new_key = ["-newkey", "rsa:2048", "-nodes"]
        lasting = ["-days", "2"]
        _openssl(
            "req",
            "-x509",
            *new_key,
            *lasting,
            "-subj",
            subject,
            "-keyout",
            authority_key,
            "-out",
            made.authority,
        )
        _openssl("req", *new_key, "-subj", "/CN=localhost", "-keyout", made.key, "-out", request)
        signing: list[str | Path] = [
            "-CA",
            made.authority,
            "-CAkey",
            authority_key,
            "-CAcreateserial",
            "-extfile",
            extensions,
        ]
        _openssl("x509", "-req", *lasting, *signing, "-in", request, "-out", made.certificate)
        return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
