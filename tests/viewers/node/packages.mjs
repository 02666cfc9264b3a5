// An npm package of a folder that is not the script's own.
import fs from 'node:fs';
import { register } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

register('./bundler.mjs', import.meta.url);
globalThis.window ??= globalThis; // what is made for browsers looks for them
globalThis.self ??= globalThis;

export function load(folder, name) {
  const home = path.join(folder, 'node_modules', name);
  const description = JSON.parse(fs.readFileSync(path.join(home, 'package.json')));
  const exported = description.exports?.['.']?.import;
  const entry = exported?.default ?? exported ?? description.module ?? description.main;
  return import(pathToFileURL(path.join(home, entry)));
}

export function content(file) {
  const { buffer, byteOffset, byteLength } = fs.readFileSync(file);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}
