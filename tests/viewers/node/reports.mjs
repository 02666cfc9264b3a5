// node reports.mjs PACKAGES CASES: [{name, images, file}] of a JSON file.
// One line of JSON for each: what the adapter hydrates of a TID 1500 report.
import fs from 'node:fs';
import { provider, show } from './images.mjs';
import { content, load } from './packages.mjs';

const [, , folder, cases] = process.argv;
const say = answer => process.stdout.write(JSON.stringify(answer) + '\n');
const warnings = [];
console.log = () => {};
console.warn = console.error = (...words) => warnings.push(words.map(String).join(' ').slice(0, 200));
const core = await load(folder, '@cornerstonejs/core');
const { adaptersSR } = await load(folder, '@cornerstonejs/adapters');
const loaded = await load(folder, 'dcmjs');
const { data } = loaded.default ?? loaded;
const { MeasurementReport } = adaptersSR.Cornerstone3D;

for (const { name, images, file } of JSON.parse(fs.readFileSync(cases))) {
  warnings.length = 0;
  try {
    const ids = show(core, images);
    const map = Object.fromEntries(images.map((i, k) => [`${i.sop}:${i.frame}`, ids[k]]));
    const read = data.DicomMessage.readFile(content(file));
    const report = data.DicomMetaDictionary.naturalizeDataset(read.dict);
    const found = MeasurementReport.generateToolState(report, map, provider, {});
    const drawn = Object.entries(found).flatMap(([tool, each]) => each.map(m => ({
      tool,
      label: m.annotation?.data?.label ?? m.description,
      image: m.annotation?.metadata?.referencedImageId,
      points: m.annotation?.data?.handles?.points?.map(p => Array.from(p)) ?? [],
    })));
    say({ name, drawn, warnings });
  } catch (error) {
    say({ name, error: String(error.message ?? error), warnings });
  }
}
process.exit(0);
