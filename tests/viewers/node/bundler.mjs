// Finds modules as bundlers do: .js need not be said, and a folder is what its package.json says
// or its index.js.
import fs from 'node:fs';

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    for (const other of others(specifier, error)) {
      try {
        return await next(other, context);
      } catch {
        // the first error says more
      }
    }
    throw error;
  }
}

function others(specifier, error) {
  const found = [`${specifier}.js`, `${specifier}/index.js`];
  const description = error.url && new URL(`${error.url}/package.json`);
  if (description && fs.existsSync(description)) {
    found.unshift(`${specifier}/${JSON.parse(fs.readFileSync(description)).main}`);
  }
  return found;
}
