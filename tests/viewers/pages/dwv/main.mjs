// ?study=UID&images=SERIES&seg=SERIES: loads the images, then the SEG over them.
// window.seen tells a test what came of it.
import { App, AppOptions, ViewConfig } from 'dwv';

const query = new URLSearchParams(location.search);
const seen = (window.seen = { stage: 'images', counts: {}, segments: [], errors: [] });

async function addresses(series) {
  const study = query.get('study');
  const answer = await fetch(`/dicom-web/studies/${study}/series/${series}/instances`, {
    headers: { Accept: 'application/dicom+json' },
  });
  return (await answer.json()).map(each => {
    const uid = each['00080018'].Value[0];
    const where = `studyUID=${study}&seriesUID=${series}&objectUID=${uid}`;
    return `${location.origin}/wado?requestType=WADO&${where}&contentType=application/dicom`;
  });
}

function count(mask) {
  for (const value of mask.getBuffer()) {
    if (value) {
      seen.counts[value] = (seen.counts[value] ?? 0) + 1;
    }
  }
  seen.segments = (mask.getMeta().custom?.segments ?? []).map(segment => ({
    number: segment.number,
    label: segment.label,
    color: [segment.displayRGBValue?.r, segment.displayRGBValue?.g, segment.displayRGBValue?.b],
  }));
}

const app = new App();
const overlay = new ViewConfig('layers');
overlay.opacity = 0.6;
app.init(new AppOptions({ 0: [new ViewConfig('layers')], 1: [overlay] }));
for (const kind of ['error', 'warn']) {
  app.addEventListener(kind, event => seen.errors.push(String(event.error?.message ?? event.error)));
}
app.addEventListener('loadend', async () => {
  if (seen.stage === 'images') {
    seen.stage = 'seg';
    app.loadURLs(await addresses(query.get('seg')));
  } else {
    const mask = app.getImage('1');
    if (mask) {
      count(mask);
    }
    seen.stage = 'done';
  }
});
app.loadURLs(await addresses(query.get('images')));
