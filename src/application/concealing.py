"""Secrets in texts that are not ours: a server may send back what it was sent."""

from collections.abc import Collection, Iterable
from urllib.parse import quote

MASK = "***"

_SHORTEST = 4
"""Shorter ones are left alone: every `a` of a sentence would be masked."""


def forms_of(secrets: Iterable[str]) -> list[str]:
    """How secrets may be written: as they are, escaped for a URL or by Python; the longest first."""
    forms = {
        form
        for secret in secrets
        if len(secret) >= _SHORTEST
        for form in (
            secret,
            quote(secret, safe="", errors="surrogatepass"),
            quote(secret, errors="surrogatepass"),
            repr(secret)[1:-1],
            repr(secret.encode(errors="surrogatepass"))[2:-1],
        )
    }
    return sorted(forms, key=len, reverse=True)


def conceal(error: BaseException, secrets: Collection[str]) -> None:
    """Take secrets out of what an error says, and out of what it came from, as a traceback shows it."""
    forms = forms_of(secrets)
    seen: set[int] = set()
    origin: BaseException | None = error
    while origin is not None and id(origin) not in seen:
        seen.add(id(origin))
        origin.args = tuple(_without(forms, arg) if isinstance(arg, str) else arg for arg in origin.args)
        origin = origin.__cause__ or origin.__context__


def _without(forms: Iterable[str], text: str) -> str:
    for form in forms:
        text = text.replace(form, MASK)
    return text
