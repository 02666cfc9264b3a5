"""A configuration that changes while the node runs: checked and compared, taken whole or not."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dicom_ai_node import in_force
from dicom_ai_node.cli.node import configure_log
from dicom_ai_node.config.load import load, located
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.in_force import InForce
from dicom_ai_node.log import get_logger
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

NEEDS_MODELS = frozenset({"run", "work", "deliver"})
_RECEIVES = frozenset({"run", "receive"})
_SENDS = frozenset({"run", "deliver"})
_WORKS = frozenset({"run", "work"})


def acceptable(directory: Path, role: str, before: Config | None = None) -> Config:
    """What stands in the files now; raises ConfigError with every mistake for which this role would
    not start with it, or would have to be started again to change from `before` to it."""
    config = load(directory, need_models=role in NEEDS_MODELS, need_secrets=True)
    if before is not None and (keys := in_force.needs_restart(before, config)):
        raise ConfigError(
            "\n".join(f"{key}: a running node keeps what it has: restart it" for key in keys)
        )
    if role in _RECEIVES:
        require_senders(config)
        _check_certificates(config)
    if role in _SENDS:
        check_peers(config, directory)
        _check_channels(config, directory)
    if role in _WORKS:
        _check_user(config)
    return config


def require_senders(config: Config) -> None:
    if not config.accept:
        raise ConfigError(
            "accept: is empty, so nobody may store: name your PACS, for example "
            "`- {ae_title: PACS, from: [10.0.0.5/32]}`"
        )


def check_peers(config: Config, directory: Path) -> None:
    """Raises ConfigError; what will be a mistake soon is said."""
    from dicom_ai_node.peers.check import check_peers as found_in
    from dicom_ai_node.peers.check import check_repository

    now = datetime.now(UTC)
    try:
        for note in (*found_in(config.peers, now), *check_repository(config.audit.syslog, now)):
            log.warning("peer_to_look_at", note=note)
    except ConfigError as error:
        raise located(error, directory) from None


def _check_channels(config: Config, directory: Path) -> None:
    from dicom_ai_node.alarms.channels import open_channels

    try:
        open_channels(config.alarms)
    except ConfigError as error:
        raise located(error, directory) from None


def _check_certificates(config: Config) -> None:
    if config.node.tls is not None:
        from dicom_ai_node.receive.tls import Tls  # brings `cryptography`: 10 MB

        Tls(config.node.tls)


def _check_user(config: Config) -> None:
    from dicom_ai_node.engines.local import require_user

    if config.work.user is not None:
        require_user(config.work.user)


def unexpected(error: Exception) -> str:
    """A fault of ours, as a mistake that somebody reads."""
    kind = type(error).__name__
    return f"this cannot be judged ({kind}): the log says where; take the last edit back"


class Reloading:
    """What one role took from the files, and takes when it is asked to."""

    def __init__(
        self,
        role: str,
        directory: Path,
        spool: Spool,
        config: Config,
        *,
        by_restart: bool = False,
    ) -> None:
        """`by_restart`: what is taken is not run with before this process has come back."""
        self.role = role
        self.directory = directory
        self.spool = spool
        self.config = config
        self._before: Config | None = None
        self._by_restart = by_restart
        last = in_force.find(spool, role)
        self._answered = last.answered if last is not None else 0
        if not self._try_to_write():  # then what stands there is of another start
            in_force.path_of(spool, role).unlink(missing_ok=True)

    def take(self, apply: Callable[[Config], None] | None = None) -> bool:
        """The files as they are now, where that is possible; else all stays as it was.

        `apply` runs with it at once, or raises ConfigError; without, who is told to reads it from
        the file of what is in force.
        """
        self._answered += 1
        try:
            new = acceptable(self.directory, self.role, self.config)
            if apply is None:
                self._write(new, runs=not self._by_restart)
            else:
                apply(new)
        except (ConfigError, OSError) as error:  # OSError: no space for what would be in force
            self.refuse(str(error).splitlines())
            return False
        except Exception as error:  # a boundary: a fault of ours must not stop a node that runs
            log.exception("reload_failed")
            self.refuse([unexpected(error)])
            return False
        keys = in_force.changed_keys(self.config, new)
        self._before, self.config = self.config, new
        configure_log(new, self.spool)
        log.info("configuration_reloaded", keys=keys)
        if apply is not None:
            self._try_to_write()
        return True

    def take_back(self) -> bool:
        """What was there before the last `take()`; False when that is what there is."""
        if self._before is None:
            return False
        self.config, self._before = self._before, None
        self.refuse(["a role could not run with it: see what it said"])
        return True

    def refuse(self, mistakes: Sequence[str]) -> None:
        """Go on with what there is, and say why."""
        log.error("configuration_not_reloaded", mistakes=list(mistakes))
        self._try_to_write(mistakes)

    def _try_to_write(self, mistakes: Sequence[str] = ()) -> bool:
        """On a full disk nothing is written, and the role runs all the same."""
        try:
            self._write(self.config, mistakes)
        except OSError as error:
            log.warning("configuration_not_written", role=self.role, errno=error.errno)
            return False
        return True

    def _write(self, config: Config, mistakes: Sequence[str] = (), *, runs: bool = True) -> None:
        said = InForce(
            config=config,
            answered=self._answered,
            mistakes=tuple(mistakes),
            runs=runs,
            directory=self.directory.absolute(),
        )
        in_force.write(self.spool, self.role, said)
