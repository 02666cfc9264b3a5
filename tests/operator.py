"""A person at the command line of a node that is in this process."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import NodeError


class Operator:
    """Verbs with the configuration written to a file below `home`."""

    def __init__(self, home: Path, config: Config) -> None:
        self.config = home / "config"
        self.config.mkdir()
        content = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        content.pop("routes", None)  # their models are not in a store
        (self.config / "node.yaml").write_text(json.dumps(content))  # JSON is YAML

    def ask(self, *words: str) -> tuple[int, str]:
        """Exit status, and what was said."""
        runner = CliRunner(env={"COLUMNS": "200"})
        # a verb sets up the log of its process, which is the tests' process here
        with patch("dicom_ai_node.log.configure"):
            done = runner.invoke(app, [*words, "--config", str(self.config)])
        if isinstance(done.exception, NodeError):
            return done.exception.exit_status, f"{done.output}{done.exception}"
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    def must(self, *words: str) -> str:
        status, said = self.ask(*words)
        assert status == 0, said
        return said

    def data(self, *words: str) -> Any:
        return json.loads(self.must(*words, "--json"))
