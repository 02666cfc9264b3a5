"""What routes that compare with earlier studies need: priors asked for, waited for, and read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from dicom_ai_node.config.rules import Prior
from dicom_ai_node.config.settings import Config, Route
from dicom_ai_node.database import fetched, fetches
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake import priors
from dicom_ai_node.intake.headers import Headers
from dicom_ai_node.routing import route
from dicom_ai_node.routing.candidates import candidates
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Where no route has an input from an earlier study, nothing here asks the database."""

    config: Config
    spool: Spool
    database: Database
    headers: Headers

    def settle_fetched(self, *, now: float) -> None:
        """Studies that came because they were fetched start no job."""
        if self._wanted():
            priors.settle_fetched(self.database, quiet_s=self.config.study.quiet_s, now=now)

    def is_fetched(self, row: RowMapping) -> bool:
        """True for a study that is here for comparison alone: `settle_fetched` ends it."""
        if not self._wanted():
            return False
        with self.database.read() as connection:
            return fetched.came_by_fetch(connection, row)

    def is_waiting(self, row: RowMapping, series: Callable[[], list[Series]], now: float) -> bool:
        """Ask for what is to be asked for, once; True while the study has to wait for it.

        Only where a route has all that it needs of the study itself is anything asked.
        """
        if not sources_of(self.config.routes):
            return False
        with self.database.read() as connection:
            asked = fetches.of_study(connection, row["id"])
        if not asked and not self._ask(row, series(), now):
            return False
        priors_s = self.config.study.priors_s
        return bool(priors.still_awaited(self.database, row["id"], priors_s=priors_s, now=now))

    def _ask(self, row: RowMapping, series: Sequence[Series], now: float) -> bool:
        """One question a peer, as far back as any of the routes goes."""
        days: dict[str, int] = {}
        for each in self.config.routes:
            sources = [prior for prior in priors_in(each) if prior.from_ is not None]
            if sources and _has_the_rest(each, series, row):
                for prior in sources:
                    peer = str(prior.from_)
                    days[peer] = max(days.get(peer, 0), int(prior.within_days))
        with self.database.write() as connection:
            for peer, within_days in days.items():
                fetches.ask(connection, row["id"], peer=peer, within_days=within_days, now=now)
        return bool(days)

    def series(self, row: RowMapping) -> list[Series]:
        """Of all earlier studies of the patient that are here."""
        wanted = self._wanted()
        if not wanted:
            return []
        within_days = max(each.within_days for each in wanted)
        with self.database.read() as connection:
            found = priors.priors_of(connection, self.spool, row, within_days=within_days)
        described = [(each, self.headers.of(each)) for prior in found for each in prior.instances]
        self.headers.forget(each.sop_instance_uid for each, _ in described)
        return candidates(described)

    def _wanted(self) -> list[Prior]:
        return [prior for route in self.config.routes for prior in priors_in(route)]


def priors_in(route: Route) -> list[Prior]:
    return [each.prior for each in route.inputs.values() if each.prior is not None]


def sources_of(routes: Iterable[Route]) -> list[str]:
    """The peers from which these routes fetch."""
    found = [prior.from_ for route in routes for prior in priors_in(route)]
    return list(dict.fromkeys(peer for peer in found if peer is not None))


def _has_the_rest(wants: Route, series: Sequence[Series], row: RowMapping) -> bool:
    """Whether the study has a series for each input that must come from it."""
    titles = {"calling_ae": row["calling_ae_title"], "called_ae": row["called_ae_title"]}
    verdicts = route.decide(wants, series, **titles).verdicts
    suited = {verdict.input for verdict in verdicts if verdict.matched}
    return all(name in suited or each.may_be_elsewhere for name, each in wants.inputs.items())
