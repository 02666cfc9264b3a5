"""What routes chose becomes jobs: whose inputs, in which order, how soon, for whom."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node.config.settings import Route
from dicom_ai_node.intake.plan import Decided, Plan, Planner, opens_at
from dicom_ai_node.job import Outcome, Priority
from dicom_ai_node.routing.route import decide
from dicom_ai_node.study import Instance, Series
from tests.made import bright

NOW = 1_700_000_000.0
T1 = {"attr": "SeriesDescription", "op": "eq", "value": "t1"}
FLAIR = {"attr": "SeriesDescription", "op": "eq", "value": "flair"}


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    two = bright(
        tmp_path, name="lesions", inputs=("t1", "flair"), between={"t1": (1, 2), "flair": (1, 2)}
    )
    on_mask = bright(
        tmp_path,
        name="in-brain",
        inputs=("image", "brain"),
        between={"image": (1, 2), "brain": (1, 1)},
    )
    return Planner(models={m.package.name: m for m in (bright(tmp_path), two, on_mask)})


def a_series(name: str, number: int = 2) -> Series:
    instances = tuple(
        Instance(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            sop_instance_uid=f"1.2.{len(name)}.{k}",
            series_instance_uid=f"1.2.{len(name)}",
            study_instance_uid="1.2",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sha256="a" * 64,
            path=Path(f"{name}-{k}"),
        )
        for k in range(number)
    )
    return Series(
        study_instance_uid="1.2",
        series_instance_uid=f"1.2.{len(name)}",
        modality="MR",
        instances=instances,
        attributes={"SeriesDescription": (name,), "Modality": ("MR",)},
    )


def a_route(**keys: Any) -> Route:
    return Route.model_validate({"model": "bright", "send_to": ["archive"], **keys})


def decided(*routes: Route, series: list[Series]) -> Decided:
    return [(each, decide(each, series, calling_ae="PACS", called_ae="NODE")) for each in routes]


def plan(planner: Planner, *routes: Route, series: list[Series], now: float = NOW) -> Plan:
    return planner.plan(1, decided(*routes, series=series), now=now)


def test_each_input_has_its_series(planner: Planner) -> None:
    route = a_route(
        model="lesions", inputs={"flair": {"require": [FLAIR]}, "t1": {"require": [T1]}}
    )
    (job,) = plan(planner, route, series=[a_series("flair"), a_series("t1")]).jobs
    assert list(job.inputs) == ["t1", "flair"]  # as the model declares them: the primary first
    assert job.inputs["t1"] == ("1.2.2.0", "1.2.2.1")
    assert job.series_instance_uid == "1.2.2"


def test_which_input_has_which_series_is_part_of_the_key(planner: Planner) -> None:
    one, other = (
        a_route(model="lesions", inputs={"t1": {"require": [a]}, "flair": {"require": [b]}})
        for a, b in ((T1, FLAIR), (FLAIR, T1))
    )
    series = [a_series("flair"), a_series("t1")]
    keys = {plan(planner, each, series=series).jobs[0].key for each in (one, other)}
    assert len(keys) == 2


def test_a_missing_input_is_named(planner: Planner) -> None:
    route = a_route(
        model="lesions",
        report_unsuitable=True,
        inputs={"t1": {"require": [T1]}, "flair": {"require": [FLAIR]}},
    )
    series = [a_series("t1")]
    found = plan(planner, route, series=series)
    assert found.jobs == ()
    assert "no series for the input flair" in found.missing[0]
    (refusal,) = planner.refusals(1, decided(route, series=series), series)
    assert refusal.outcome is Outcome.NOT_SUITABLE
    assert "input flair" in str(refusal.reason)


def test_a_study_that_another_route_takes_is_not_reported_as_unsuitable(planner: Planner) -> None:
    routes = (a_route(require=[T1]), a_route(name="x", report_unsuitable=True, require=[FLAIR]))
    series = [a_series("t1")]
    assert planner.refusals(1, decided(*routes, series=series), series) == []


def chain(planner: Planner, *, series: list[Series]) -> Plan:
    on_mask = a_route(
        model="in-brain", inputs={"image": {"require": [T1]}, "brain": {"result_of": "bright"}}
    )
    return plan(planner, on_mask, a_route(require=[T1]), series=series)


def test_a_model_on_another_ones_mask_comes_after_it(planner: Planner) -> None:
    first, second = chain(planner, series=[a_series("t1")]).jobs
    assert (first.model, second.model) == ("bright", "in-brain")
    assert second.uses == {"brain": first.key}
    assert list(second.inputs) == ["image"]


def test_a_mask_that_nobody_makes_is_named(planner: Planner) -> None:
    on_mask = a_route(
        model="in-brain", inputs={"image": {"require": [T1]}, "brain": {"result_of": "bright"}}
    )
    found = plan(planner, on_mask, a_route(require=[FLAIR]), series=[a_series("t1")])
    assert found.jobs == ()
    assert "bright has not one job on this study" in found.missing[0]


def test_two_routes_to_the_same_work_share_it(planner: Planner) -> None:
    routes = (
        a_route(name="a", priority="background", between=("20:00", "06:00")),
        a_route(name="b", priority="urgent", send_to=["pacs"]),
    )
    (job,) = plan(planner, *routes, series=[a_series("t1")]).jobs
    assert (job.send_to, job.priority, job.run_after) == (("archive", "pacs"), Priority.URGENT, NOW)


def test_the_subject_is_the_series_or_the_routes_choice(planner: Planner) -> None:
    """A route that picks one replaces its earlier choice; one that takes each does not."""
    series = [a_series("t1"), a_series("flair")]

    def subjects(route: Route) -> list[str]:
        return [job.subject for job in plan(planner, route, series=series).jobs]

    assert subjects(a_route()) == ["1.2.2", "1.2.5"]
    assert subjects(a_route(tie=["-$instances"])) == ["bright"]


@pytest.fixture
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("clock", "opens"),
    [
        ("2026-11-26T12:00+01:00", "2026-11-26T20:00+01:00"),
        ("2026-11-26T20:00+01:00", "2026-11-26T20:00+01:00"),
        ("2026-11-26T23:30+01:00", "2026-11-26T23:30+01:00"),
        ("2026-11-27T05:59+01:00", "2026-11-27T05:59+01:00"),
        ("2026-11-27T06:00+01:00", "2026-11-27T20:00+01:00"),
        # the clocks change: 20:00 is 20:00
        ("2026-10-25T01:30+01:00", "2026-10-25T01:30+01:00"),
        ("2026-10-25T12:00+01:00", "2026-10-25T20:00+01:00"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_an_off_peak_window_is_local_time_and_may_span_midnight(clock: str, opens: str) -> None:
    now, then = (datetime.fromisoformat(each).timestamp() for each in (clock, opens))
    assert opens_at(("20:00", "06:00"), now=now) == then


def test_a_window_within_a_day(berlin: None) -> None:
    now = datetime.fromisoformat("2026-11-26T15:00+01:00").timestamp()
    assert opens_at(("12:00", "14:00"), now=now) == now + 21 * 3600
    assert opens_at(("12:00", "16:00"), now=now) == now
    assert opens_at(None, now=now) == now


def test_jobs_are_the_same_in_whatever_order_routes_and_series_stand(planner: Planner) -> None:
    routes = [a_route(require=[T1]), a_route(name="b", require=[FLAIR])]
    series = [a_series("t1"), a_series("flair")]

    def keys(found: Plan) -> set[str]:
        return {job.key for job in found.jobs}

    one = plan(planner, *routes, series=series)
    other = plan(planner, *routes[::-1], series=series[::-1])
    assert keys(one) == keys(other)
