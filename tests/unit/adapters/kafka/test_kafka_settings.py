"""What contradicts itself, or would send a secret in the clear, is no setting."""

from pathlib import Path

import pytest

from eventbridge.adapters.kafka.client_manager import KafkaClientManager
from eventbridge.adapters.kafka.settings import KafkaSettings
from eventbridge.application.errors import SourceMisconfigured

USER = {"sasl_username": "bridge", "sasl_password": "s3cret"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"topics": ()}, "incomplete"),
        ({"bootstrap_servers": ()}, "incomplete"),
        ({"security_protocol": "SASL_SSL"}, "incomplete"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "incomplete"),
        ({"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", **USER}, "insecure_login"),
        (
            {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "OAUTHBEARER",
                "sasl_oauth_token_file": "token",
            },
            "insecure_login",
        ),
        ({"revocation_limit_seconds": 60.0}, "contradiction"),
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(SourceMisconfigured) as refused:
        KafkaSettings(**options)  # type: ignore[arg-type]  # the table's values differ in type

    assert refused.value.reason == reason


def test_a_password_in_the_clear_must_be_permitted() -> None:
    settings = KafkaSettings(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="bridge",
        sasl_password="s3cret",
        sasl_allow_plaintext_password=True,
    )

    assert settings.sasl_allow_plaintext_password


def test_secrets_are_not_shown() -> None:
    settings = KafkaSettings(
        sasl_password="s3cret-1", sasl_oauth_client_secret="s3cret-2", ssl_key_password="s3cret-3"
    )

    assert "s3cret" not in repr(settings)


def test_a_certificate_file_that_is_not_there_is_a_misconfiguration(tmp_path: Path) -> None:
    settings = KafkaSettings(security_protocol="SSL", ssl_ca_file=str(tmp_path / "none.pem"))

    with pytest.raises(SourceMisconfigured, match="TLS files"):
        KafkaClientManager(settings)
