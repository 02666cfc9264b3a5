"""Models: versions, where they are used, how long they take, what they refuse."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from dicom_ai_node.config import disabled
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.store import find, read_store
from dicom_ai_node.database import overview
from dicom_ai_node.errors import NotThere
from dicom_ai_node.web.person import Person, may_configure, may_look
from dicom_ai_node.web.record import on_record
from dicom_ai_node.web.site import Site, go, render, site_of

router = APIRouter(dependencies=[Depends(may_look)])

Configuring = Annotated[Person, Depends(may_configure)]
_WEEK_S = 7 * 86_400.0
_STAGES = ("load", "predict", "encode")


@router.get("/models")
def page(request: Request) -> Response:
    site = site_of(request)
    faults = len(read_store(site.config.node.models).faults)
    return render(request, "models.html", models=read_models(site), faults=faults, stages=_STAGES)


def read_models(site: Site) -> list[dict[str, Any]]:
    """Those in the store, and those that once made something here."""
    store, switched = site.config.node.models, disabled.read_disabled(site.config.node.models)
    installed = {
        (each.package.name, each.package.version): each for each in read_store(store).models
    }
    with site.database.read() as connection:
        figures = overview.figures(connection, since=site.database.now() - _WEEK_S)
    routes = _routes(site.config, list(installed.values()))
    return [
        {
            "name": of[0],
            "version": of[1],
            "is_installed": of in installed,
            "title": installed[of].package.title
            if of in installed
            else "not in the store any more",
            "routes": routes.get(of, []),
            "disabled": switched.get(of),
            "figures": figures.get(of),
            "refused_lately": _refused(figures.get(of), "lately"),
            "refused_before": _refused(figures.get(of), "before"),
        }
        for of in sorted(installed.keys() | figures.keys())
    ]


def _refused(figures: overview.ModelFigures | None, when: str) -> float | None:
    return overview.share_refused(getattr(figures, when)) if figures else None


def _routes(config: Config, installed: list[InstalledModel]) -> dict[tuple[str, str], list[str]]:
    """Routes by the version that they take: where they name none, that is the newest."""
    newest = {each.package.name: each.package.version for each in installed}  # the last is newest
    found: dict[tuple[str, str], list[str]] = {}
    for route in config.routes:
        version = route.version or newest.get(route.model, "")
        found.setdefault((route.model, version), []).append(route.label)
    return found


@router.post("/models/{name}/{version}/disable")
def disable(
    request: Request,
    name: str,
    version: str,
    person: Configuring,
    why: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    site = site_of(request)
    _require_known(site, name, version)
    with on_record(site, person, "models disable", subject=f"{name} {version}"):
        disabled.disable(
            site.config.node.models,
            find(site.config.node.models, name, version),
            why=why.strip() or f"by {person.name}",
            now=site.database.now(),
        )
    return go(request, "/models", f"{name} {version} is disabled: no job of it runs.")


@router.post("/models/{name}/{version}/enable")
def enable(request: Request, name: str, version: str, person: Configuring) -> Response:
    site = site_of(request)
    if (name, version) not in disabled.read_disabled(site.config.node.models):
        raise NotThere("this model is not disabled: see the list of models")
    with on_record(site, person, "models enable", subject=f"{name} {version}"):
        disabled.enable(site.config.node.models, name, version)
    return go(request, "/models", f"Jobs of {name} {version} run again.")


def _require_known(site: Site, name: str, version: str) -> None:
    """Nothing else becomes part of a path."""
    known = {
        (each.package.name, each.package.version)
        for each in read_store(site.config.node.models).models
    }
    if (name, version) not in known:
        raise NotThere("there is no such model in the store: see the list of models")
