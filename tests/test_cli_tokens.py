"""Tokens of the web page at the command line."""

from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import tokens
from dicom_ai_node.database.engine import Database
from dicom_ai_node.roles import Role
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
