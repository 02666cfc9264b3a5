"""The files of the administrator against what a running node took from them."""

from collections.abc import Iterator, Sequence

from dicom_ai_node import in_force
from dicom_ai_node.config.settings import Config
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn
from dicom_ai_node.spool import Spool

_CHECK = "configuration"


def examine(config: Config, spool: Spool, mistakes: Sequence[str] = ()) -> Iterator[Finding]:
    """Nothing where no node runs: its start takes what the files say."""
    running = in_force.running(spool)
    if not running:
        return
    if mistakes:
        text = f"the node runs, and would not start again: {'; '.join(mistakes)}"
        yield fail(_CHECK, text, "mend that, and `dicom-ai-node reload`")
    elif keys := in_force.not_in_force(spool, config):
        text = f"the running node goes on with other values of {', '.join(keys)}"
        yield warn(_CHECK, text, in_force.next_step(spool, config))
    else:
        yield ok(_CHECK, "the running node has what the files say")
    for role, said in running.items():
        if said.mistakes:
            text = f"the last reload of {role} was refused: {'; '.join(said.mistakes)}"
            yield warn(_CHECK, text, "mend that, and `dicom-ai-node reload`")
