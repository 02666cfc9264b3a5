// node maps.mjs PACKAGES CASES: [{name, images, file, out}] of a JSON file.
// One line of JSON for each: what the adapter makes of a Parametric Map; float32 goes to `out`.
import fs from 'node:fs';
import { provider, show } from './images.mjs';
import { content, load } from './packages.mjs';

const [, , folder, cases] = process.argv;
const say = answer => process.stdout.write(JSON.stringify(answer) + '\n');
console.log = console.warn = console.error = () => {};
const core = await load(folder, '@cornerstonejs/core');
const { adaptersPMAP } = await load(folder, '@cornerstonejs/adapters');
const { ParametricMap } = adaptersPMAP.Cornerstone3D;

for (const { name, images, file, out } of JSON.parse(fs.readFileSync(cases))) {
  try {
    const ids = show(core, images);
    const state = await ParametricMap.generateToolState(ids, content(file), provider, 1e-3);
    fs.writeFileSync(out, Buffer.from(Float32Array.from(state.pixelData).buffer));
    say({ name });
  } catch (error) {
    say({ name, error: String(error.message ?? error) });
  }
}
process.exit(0);
