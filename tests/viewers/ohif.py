"""OHIF as a reader uses it: a study is opened, a series is clicked; and what it then knows."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.viewers.serve import Site

_NO_TOUR = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))"
_SHOWN = """() => window.services && window.cornerstone?.getRenderingEngines()
  .some(e => e.getViewports().some(v => v.getImageIds?.().length || v.getNumberOfSlices?.()))"""
_SEGMENTS = """() => { const service = window.services.segmentationService;
  const view = window.cornerstone.getRenderingEngines().flatMap(e => e.getViewports())[0];
  return service.getSegmentations().flatMap(s => Object.values(s.segments).filter(Boolean)
    .map(x => ({ segmentation: s.label, number: x.segmentIndex, label: x.label,
      color: Array.from(service.getSegmentColor(view.id, s.segmentationId, x.segmentIndex)
        ?? []).slice(0, 3),
      statistics: Object.fromEntries(Object.values(x.cachedStats?.namedStats ?? {})
        .map(each => [each.name, each.value])) }))); }"""
_COUNTED = """wanted => window.services?.segmentationService.getSegmentations()
  .flatMap(s => Object.values(s.segments).filter(x => x?.cachedStats?.namedStats?.count))
  .length >= wanted"""
_MEASUREMENTS = """() => window.services.measurementService.getMeasurements().map(m => ({
  label: m.label, tool: m.toolName, image: m.SOPInstanceUID, points: m.points }))"""
_DISPLAY_SETS = """() => window.services.displaySetService.getActiveDisplaySets().map(d => ({
  modality: d.Modality, description: d.SeriesDescription, unsupported: !!d.unsupported }))"""
_JUMP = """async uid => { const view = window.cornerstone.getRenderingEngines()
    .flatMap(e => e.getViewports())[0];
  const index = view.getImageIds().findIndex(id => id.includes(uid));
  if (index >= 0) { await window.cornerstone.utilities.jumpToSlice(view.element,
    { imageIndex: index }); view.render(); }
  return index; }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """`statistics` are OHIF's own: count, center (LPS mm), mean, volume and more."""

    segmentation: str
    number: int
    label: str
    color: tuple[int, ...]
    statistics: dict[str, Any]


class Ohif:
    """`mode` is OHIF's: `viewer` reads reports, `segmentation` lists segments.

    `errors` are those of the page since the study was opened; `elsewhere` are requests to others
    than the site since the browser was started.
    """

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.add_init_script(_NO_TOUR)
        page.on("pageerror", lambda error: self.errors.append(str(error)[:500]))
        page.on("request", lambda request: self._asked(request.url))

    def open_study(self, study_instance_uid: str, mode: str = "viewer") -> None:
        self.page.goto(f"{self.site.url}/{mode}?StudyInstanceUIDs={study_instance_uid}")
        self.wait(_SHOWN)
        self.errors.clear()
        self.site.refused.clear()

    def open_series(self, description: str) -> None:
        """A double click in the list of the left panel."""
        self.page.get_by_text(description, exact=True).first.dblclick()

    def wait(self, expression: str, argument: Any = None, *, timeout_s: float = 60) -> None:
        self.page.wait_for_function(expression, arg=argument, timeout=timeout_s * 1000)

    def wait_for_text(self, text: str) -> None:
        self.wait("text => document.body.innerText.includes(text)", text)

    def segments(self, expected: int) -> list[Segment]:
        """As soon as so many are there and counted."""
        self.wait(_COUNTED, expected)
        found = self.page.evaluate(_SEGMENTS)
        return [Segment(**{**each, "color": tuple(each["color"])}) for each in found]

    def measurements(self) -> list[dict[str, Any]]:
        """What OHIF has drawn of a report."""
        return list(self.page.evaluate(_MEASUREMENTS))

    def series(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate(_DISPLAY_SETS))

    def show_image(self, sop_instance_uid: str) -> bool:
        """Whether the viewport has it."""
        return bool(self.page.evaluate(_JUMP, sop_instance_uid) >= 0)

    def text(self) -> str:
        return str(self.page.inner_text("body"))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.site.url, "blob:", "data:")):
            self.elsewhere.append(url[:200])
