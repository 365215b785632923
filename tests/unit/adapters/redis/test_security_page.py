"""`docs/security.md` says the rights that the code needs."""

from pathlib import Path

import pytest

from eventbridge.adapters.redis import rights

PAGE = Path(__file__).parents[4] / "docs" / "security.md"


@pytest.mark.parametrize("name", [name for name in vars(rights) if name.endswith("RULES")])
def test_the_rights_of_each_user_stand_on_the_page(name: str) -> None:
    assert getattr(rights, name) in PAGE.read_text("utf-8").splitlines()
