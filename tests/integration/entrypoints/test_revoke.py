"""`eventbridge revoke` on a real server, as a process."""

import pytest
from redis import Redis

from tests.integration.entrypoints.processes import eventbridge

USER = "00000000-0000-4000-8000-00000000000a"


def test_revoke_says_what_holds_and_until_when(redis_url: str) -> None:
    arguments = ("--user", USER.upper(), "--token", "j 1")

    ended = eventbridge("revoke", *arguments, settings={"REDIS__URL": redis_url})
    with Redis.from_url(redis_url) as client:
        lives = {key: client.ttl(key) for key in sorted(client.scan_iter())}

    user, lift, token, told = ended.stdout.splitlines()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert user.startswith(f"The user {USER} may not read until ")
    assert user.endswith(" UTC, with whatever token.")
    assert lift == f"To allow it earlier, delete eb:gw:revoked:user:{USER} in Redis."
    assert token.startswith("The token j 1 is not accepted until ")
    assert told.startswith("Gateways on 127.0.0.1:")
    assert set(lives) == {f"eb:gw:revoked:user:{USER}".encode(), b"eb:gw:revoked:jti:j%201"}
    assert all(29 * 86_400 < life <= 30 * 86_400 for life in lives.values())


def test_revoke_holds_for_as_many_days_as_are_asked_for(redis_url: str) -> None:
    ended = eventbridge("revoke", "--token", "j1", "--days", "0.5", settings={"REDIS__URL": redis_url})
    with Redis.from_url(redis_url) as client:
        life = client.ttl("eb:gw:revoked:jti:j1")

    assert ended.returncode == 0
    assert 43_000 < life <= 43_200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say who: --user ID, --token JTI, or both"),
        (["--user", ""], "--user must be the user's id, a UUID"),
        (["--user", "ada"], "--user must be the user's id, a UUID"),
        (["--token", ""], "a token's jti must not be empty"),
        (["--token", "j1", "--days", "0"], "0.0 is not in the range"),
        (["--token", "j1", "--days", "nan"], "say how many days"),
    ],
)
def test_revoke_refuses_wrong_arguments_with_exit_code_2(arguments: list[str], said: str) -> None:
    ended = eventbridge("revoke", *arguments, settings={})

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_revoke_says_that_redis_is_away_with_exit_code_1() -> None:
    url = "redis://:a-secret@127.0.0.1:1/0"

    ended = eventbridge("revoke", "--user", USER, settings={"REDIS__URL": url})

    assert ended.returncode == 1
    assert "the sink is not writable (connection)" in ended.stderr
    assert "a-secret" not in ended.stdout + ended.stderr
