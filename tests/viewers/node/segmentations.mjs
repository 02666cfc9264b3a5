// node segmentations.mjs PACKAGES CASES: [{name, images, file, out}] of a JSON file.
// One line of JSON for each: what the adapter makes of a SEG. Label maps go to `out`: uint16, an
// image after the other, group after group.
import fs from 'node:fs';
import { provider, show } from './images.mjs';
import { content, load } from './packages.mjs';

const [, , folder, cases] = process.argv;
const say = answer => process.stdout.write(JSON.stringify(answer) + '\n');
const warnings = [];
console.log = () => {};
console.warn = console.error = (...words) => warnings.push(words.map(String).join(' ').slice(0, 200));
const core = await load(folder, '@cornerstonejs/core');
const { adaptersSEG } = await load(folder, '@cornerstonejs/adapters');
const { Segmentation } = adaptersSEG.Cornerstone3D;

let name = null;
process.on('uncaughtException', error => {
  say({ name, error: `never ends: ${error.message}` });
  process.exit(1);
});

async function read(ids, buffer) {
  if (Segmentation.createFromDICOMSegBuffer) {
    const options = { metadataProvider: provider, tolerance: 1e-3 };
    return Segmentation.createFromDICOMSegBuffer(ids, buffer, options);
  }
  return Segmentation.generateToolState(ids, buffer, provider, false, 1e-3);
}

function groupsOf(state, voxels) {
  if (!state.labelMapImages) {
    return state.labelmapBufferArray.map(buffer => new Uint8Array(buffer));
  }
  const found = state.labelMapImages;
  const groups = Array.isArray(found[0]) ? found : [found];
  return groups.map(images => {
    const whole = new Uint16Array(voxels);
    let start = 0;
    for (const image of images) {
      const pixels = image.voxelManager?.getScalarData?.() ?? image.getPixelData();
      whole.set(pixels, start);
      start += pixels.length;
    }
    return whole;
  });
}

for (const each of JSON.parse(fs.readFileSync(cases))) {
  name = each.name;
  warnings.length = 0;
  try {
    const state = await read(show(core, each.images), content(each.file));
    const voxels = each.images.reduce((sum, image) => sum + image.rows * image.columns, 0);
    const groups = groupsOf(state, voxels);
    fs.writeFileSync(each.out, Buffer.concat(groups.map(g => Buffer.from(Uint16Array.from(g).buffer))));
    const segments = (state.segMetadata?.data ?? []).filter(Boolean).map(s => s.SegmentLabel);
    say({ name, groups: groups.length, segments, warnings });
  } catch (error) {
    say({ name, error: String(error.message ?? error), warnings });
  }
}
process.exit(0);
