"""What a test does when a program of the system is missing."""

import os

import pytest


def missing_tool(name: str) -> None:
    """Skip the test; where CI=true, fail it: a tool that is missing there proves nothing."""
    message = f"{name} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
