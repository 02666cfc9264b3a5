"""Who owns what the node lives on, and who else may touch it."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError


def require_own_spool(config: Config) -> None:
    """Raises ConfigError where the spool is another user's: what we write there, the node could not
    read, and the other way round. A mounted volume may belong to root."""
    spool = config.node.spool
    try:
        owner = spool.stat().st_uid
    except FileNotFoundError:
        return  # it is made, and ours
    except OSError as error:
        raise ConfigError(
            f"node.spool: {spool} cannot be looked at ({error.strerror}): run this as the user of "
            "the node"
        ) from None
    if owner in (os.geteuid(), 0):
        return
    raise ConfigError(
        f"node.spool: {spool} belongs to {_name(owner)}, and you are {_name(os.geteuid())}: run "
        f"this as that user (`sudo -u {_name(owner)} dicom-ai-node …`), or give the folder and all "
        f"below it to yourself (`chown -R {_name(os.geteuid())} {spool}`)"
    )


def doubts(config: Config, directory: Path) -> Iterator[str]:
    """What works, and should not be so: sentences with their next step."""
    if os.geteuid() == 0 and config.work.user is None:
        yield (
            "the node runs as root, and so do its models: start it as a user of its own, or set "
            "work.user"
        )
    for path in (directory, *sorted(directory.glob("*.yaml"))):
        if _mode(path) & stat.S_IWOTH:
            yield f"{path} may be changed by everybody: run `chmod o-w {path}`"
    database = Path(config.node.database.removeprefix("sqlite:///")).parent
    for key, folder in {"node.spool": config.node.spool, "node.database": database}.items():
        if _mode(folder) & (stat.S_IRWXG | stat.S_IRWXO):
            yield (
                f"{key}: {folder} holds patient data, and others than its owner may look into it: "
                f"run `chmod 700 {folder}`"
            )


def _mode(path: Path) -> int:
    """0 where it is not there."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
