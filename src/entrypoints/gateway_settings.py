"""From the operator's settings to the values that the gateway's parts take; says what is wrong in them."""

from collections.abc import Iterator

from ..adapters.http.sse_endpoint import StreamServing
from ..adapters.jwt.keys import UnusableKey, key_of
from ..adapters.jwt.settings import JwtSettings
from ..application.admission import AdmissionLimits
from ..application.hub_settings import HubSettings
from ..domain.client_address import InvalidNetwork, is_loopback_host, trusted_networks
from ..domain.origins import InvalidOrigin, Origins
from .settings import GatewayGroup, Settings
from .settings_errors import Mistake, WrongSettings
from .settings_loading import LoadedSettings


def check_gateway(loaded: LoadedSettings) -> None:
    """Raise `WrongSettings` with everything that keeps a gateway from serving; the bridge asks none of it."""
    mistakes = []
    for field, rule in gateway_contradictions(loaded.settings.gateway) or _unusable_key(loaded.settings):
        key = f"gateway.{field}"
        origin = loaded.origins.get(key, "default")
        place = f"{key} (default)" if origin == "default" else origin
        mistakes.append(Mistake(place, rule))
    if mistakes:
        raise WrongSettings(mistakes)


def _unusable_key(settings: Settings) -> list[tuple[str, str]]:
    wanted = jwt_settings(settings.gateway)
    if settings.gateway.auth == "none" or wanted.key is None:
        return []
    try:
        key_of(wanted.key, wanted.algorithms)
    except UnusableKey as error:
        return [("jwt_key", f"cannot be used: {error}")]
    return []


def gateway_contradictions(gateway: GatewayGroup) -> list[tuple[str, str]]:
    """What the gateway lacks before it can serve, as (field, rule); the bridge does not ask."""
    return [*_identity_contradictions(gateway), *_address_contradictions(gateway)]


def _identity_contradictions(gateway: GatewayGroup) -> Iterator[tuple[str, str]]:
    if gateway.auth == "none":
        if not is_loopback_host(gateway.host):
            yield (
                "auth",
                "none lets anybody read any user's events: only with gateway.host on this machine "
                "(127.0.0.1, ::1 or localhost)",
            )
        return
    yield from jwt_settings(gateway).contradictions()


def _address_contradictions(gateway: GatewayGroup) -> Iterator[tuple[str, str]]:
    try:
        Origins.parse(gateway.cors_origins)
    except InvalidOrigin as error:
        yield "cors_origins", str(error)
    try:
        trusted_networks(gateway.trusted_proxies)
    except InvalidNetwork as error:
        yield "trusted_proxies", str(error)


def jwt_settings(gateway: GatewayGroup) -> JwtSettings:
    """What a good token looks like."""
    return JwtSettings(
        audience=gateway.jwt_audience or "",
        algorithms=gateway.jwt_algorithms,
        key=None if gateway.jwt_key is None else gateway.jwt_key.get_secret_value(),
        jwks_url=gateway.jwks_url,
        issuer=gateway.jwt_issuer,
    )


def admission_limits(settings: Settings) -> AdmissionLimits:
    """How many streams there may be."""
    gateway = settings.gateway
    return AdmissionLimits(
        connections=gateway.max_connections,
        per_address=gateway.max_connections_per_address,
        per_user=gateway.max_connections_per_user,
        connects_per_second=gateway.connects_per_second,
    )


def hub_settings(settings: Settings) -> HubSettings:
    """How streams are followed."""
    gateway = settings.gateway
    return HubSettings(
        heartbeat_seconds=gateway.heartbeat_seconds,
        stale_after_seconds=gateway.stale_after_seconds,
        replay_max_entries=gateway.replay_max_entries,
    )


def stream_serving(settings: Settings) -> StreamServing:
    """How streams are served over HTTP."""
    gateway = settings.gateway
    return StreamServing(
        replay_max_entries=gateway.replay_max_entries,
        stale_after_seconds=gateway.stale_after_seconds,
        heartbeat_seconds=gateway.heartbeat_seconds,
        names_user=gateway.auth == "none",
        trusted_proxies=trusted_networks(gateway.trusted_proxies),
    )


def origins(settings: Settings) -> Origins:
    """Which pages may ask with credentials."""
    return Origins.parse(settings.gateway.cors_origins)
