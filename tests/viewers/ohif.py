"""OHIF as a reader uses it: a study is opened, a series is clicked; and what it then knows."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.viewers.serve import Site

_NO_TOUR = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))"
_SHOWN = """() => window.services && window.cornerstone?.getRenderingEngines()
  .some(e => e.getViewports().some(v => v.getImageIds?.().length || v.getNumberOfSlices?.()))"""
_LABELS = """title => window.services.segmentationService.getSegmentations()
  .filter(s => s.label === title)
  .flatMap(s => Object.values(s.segments).filter(Boolean).map(x => x.label))"""
_HAS = """([title, kind, expected]) => window.services.segmentationService.getSegmentations()
  .filter(s => s.label === title && s.representationData?.[kind])
  .flatMap(s => Object.values(s.segments).filter(Boolean)).length >= expected"""
# from the label map that it paints, and where the images under it lie
_SEGMENTS = """title => { const { segmentationService } = window.services;
  const { cache, metaData, getRenderingEngines } = window.cornerstone;
  const views = getRenderingEngines().flatMap(e => e.getViewports());
  const found = segmentationService.getSegmentations().find(s => s.label === title);
  const { imageIds, volumeId } = found.representationData.Labelmap;
  const sums = {};
  for (const id of imageIds ?? cache.getVolume(volumeId).imageIds) {
    const image = cache.getImage(id);
    const at = metaData.get('imagePlaneModule', image.referencedImageId);
    image.voxelManager.getScalarData().forEach((value, index) => {
      if (!value) return;
      const sum = (sums[value] ??= [0, 0, 0, 0]);
      const row = Math.floor(index / image.columns), column = index % image.columns;
      sum[3] += 1;
      for (const k of [0, 1, 2]) sum[k] += at.imagePositionPatient[k]
        + column * at.columnPixelSpacing * at.rowCosines[k]
        + row * at.rowPixelSpacing * at.columnCosines[k]; }); }
  return Object.values(found.segments).filter(Boolean).map(x => { const n = x.segmentIndex;
    const sum = sums[n] ?? [0, 0, 0, 0];
    return { number: n, label: x.label, voxels: sum[3],
      centre: sum.slice(0, 3).map(each => each / sum[3]),
      color: views.map(v => segmentationService.getSegmentColor(v.id, found.segmentationId, n))
        .filter(Boolean).map(each => Array.from(each).slice(0, 3))[0] }; }); }"""
_MEASUREMENTS = """() => window.services.measurementService.getMeasurements().map(m => ({
  label: m.label, tool: m.toolName, image: m.SOPInstanceUID, points: m.points }))"""
_MEASURED = """expected =>
  window.services.measurementService.getMeasurements().length >= expected"""
_IMAGE = """uid => { const { cache, getRenderingEngines } = window.cornerstone;
  const ids = getRenderingEngines().flatMap(e => e.getViewports())
    .map(v => v.getCurrentImageId?.()).filter(id => id?.includes(uid));
  const image = ids.length && cache.getImage(ids[0]);
  return image && { rows: image.rows, columns: image.columns, color: image.color,
    darkest: image.minPixelValue, brightest: image.maxPixelValue }; }"""
_SERIES = """() => Object.fromEntries(window.services.displaySetService.getActiveDisplaySets()
  .map(d => [d.SeriesDescription, d.Modality]))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """As OHIF paints it; `centre` of its voxels in LPS, mm."""

    number: int
    label: str
    color: list[int]
    voxels: int
    centre: list[float]


class Ohif:
    """`errors` are those of the page since the study was opened, and `elsewhere` requests to others
    than the site since the browser was started."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self._open: tuple[str, str] | None = None
        page.add_init_script(_NO_TOUR)
        page.on("pageerror", lambda error: self.errors.append(str(error)[:500]))
        page.on("request", lambda request: self._asked(request.url))

    def open_study(self, study_instance_uid: str, mode: str = "viewer") -> None:
        """`mode` is OHIF's: `viewer` reads reports, `segmentation` lists segments.

        What is open already stays as it is, for opening takes seconds.
        """
        if self._open == (study_instance_uid, mode):
            return
        self._open = None
        self.page.goto(f"{self.site.url}/{mode}?StudyInstanceUIDs={study_instance_uid}")
        self.wait(_SHOWN)
        self.errors.clear()
        self.site.refused.clear()
        self._open = (study_instance_uid, mode)

    def leave(self) -> None:
        """Another viewer takes the page."""
        self._open = None

    def open_series(self, description: str) -> None:
        """A double click in the list of the left panel."""
        self.page.get_by_text(description, exact=True).first.dblclick()

    def wait(self, expression: str, argument: Any = None, *, timeout_s: float = 120) -> None:
        self.page.wait_for_function(expression, arg=argument, timeout=timeout_s * 1000)

    def wait_for_text(self, text: str) -> None:
        self.wait("text => document.body.innerText.includes(text)", text)

    def segments(self, title: str, expected: int) -> dict[str, Segment]:
        """Of the segmentation of this title, by their labels; as soon as there are so many."""
        self.wait(_HAS, [title, "Labelmap", expected])
        found = [Segment(**each) for each in self.page.evaluate(_SEGMENTS, title)]
        return {segment.label: segment for segment in found}

    def contours(self, title: str, expected: int) -> list[str]:
        """Labels of a structure set that is drawn as contours."""
        self.wait(_HAS, [title, "Contour", expected])
        return list(self.page.evaluate(_LABELS, title))

    def measurements(self, expected: int) -> list[dict[str, Any]]:
        """What OHIF has taken over from a report, as soon as there is so much."""
        self.wait(_MEASURED, expected)
        return list(self.page.evaluate(_MEASUREMENTS))

    def next_measurement(self) -> None:
        """The arrow at the upper right of the viewport."""
        self.page.locator("[data-cy=viewport-action-arrows-right]").first.click()

    def series(self) -> dict[str, str]:
        """Descriptions of all that is listed, and their modalities."""
        return dict(self.page.evaluate(_SERIES))

    def image(self, sop_instance_uid: str) -> dict[str, Any]:
        """As soon as a viewport shows it: rows, columns, color, darkest and brightest pixel."""
        self.wait(_IMAGE, sop_instance_uid)
        return dict(self.page.evaluate(_IMAGE, sop_instance_uid))

    def text(self) -> str:
        return str(self.page.inner_text("body"))

    def _asked(self, url: str) -> None:
        if not url.startswith((self.site.url, "blob:", "data:")):
            self.elsewhere.append(url[:200])
