"""Tokens of the web page at the command line."""

from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import tokens
from dicom_ai_node.database.engine import Database
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import WEB_KEY, Spool
from dicom_ai_node.web.keys import session_key
from tests.operator import Operator


@pytest.fixture
def operator(config: Config, tmp_path: Path) -> Operator:
    return Operator(tmp_path, config)


def test_a_token_is_printed_once_and_kept_as_a_hash(operator: Operator, database: Database) -> None:
    made = operator.must("tokens", "add", "anna", "--role", "act").strip()
    assert len(made) == 43  # 256 random bits
    with database.read() as connection:
        found = tokens.known(connection, made)
    assert found is not None
    assert (found.name, found.role) == ("anna", Role.ACT)
    assert made.encode() not in database.path.read_bytes()
    assert made not in operator.must("tokens", "list")
    (listed,) = operator.data("tokens", "list")
    assert (listed["name"], listed["role"], listed["last_used_at"]) == ("anna", "act", None)


def test_a_revoked_token_is_none_any_more_and_its_name_is_not_given_again(
    operator: Operator, database: Database
) -> None:
    made = operator.must("tokens", "add", "anna").strip()
    operator.must("tokens", "revoke", "anna")
    with database.read() as connection:
        assert tokens.known(connection, made) is None
    assert operator.ask("tokens", "revoke", "anna")[0] == 1
    status, said = operator.ask("tokens", "add", "anna")
    assert (status, "choose another name" in said) == (1, True)


def test_a_name_is_one(operator: Operator) -> None:
    status, said = operator.ask("tokens", "add", "<b>anna</b>")
    assert (status, "letters, digits" in said) == (1, True)


def test_a_restore_says_which_tokens_are_back_and_ends_the_sessions(
    operator: Operator, database: Database, spool: Spool, tmp_path: Path
) -> None:
    for name in ("anna", "berta", "carla"):
        operator.must("tokens", "add", name)
    operator.must("tokens", "revoke", "berta")
    session_key(spool)
    operator.must("backup", str(tmp_path / "monday"))
    operator.must("tokens", "revoke", "anna")
    database.close()
    said = operator.must("restore", str(tmp_path / "monday"), "--force")
    assert 'The token anna is good again: `tokens revoke "anna"` ends it.' in said
    assert "berta" not in said
    assert "carla" not in said
    assert not (spool.root / WEB_KEY).exists()
    for path in database.path.parent.glob(f"{database.path.name}*"):
        path.unlink()
    said = operator.must("restore", str(tmp_path / "monday"))
    assert "are good again: see `tokens list`" in said
