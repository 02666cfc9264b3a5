"""What a script in the browser finds wrong with a page: an empty list where nothing is."""

# buttons, links, fields and images that a screen reader has no words for
NAMELESS = """
[...document.querySelectorAll(
  'a, button, input:not([type=hidden]), select, img, svg'
)].filter(e => {
  const label = e.labels && e.labels.length ? e.labels[0].innerText : '';
  const inner = e.querySelector('img[alt]');
  const own = e.getAttribute('aria-label') || e.alt || e.innerText || '';
  return !(label || (inner && inner.alt) || own).trim();
}).map(e => e.outerHTML)
"""
# visible text whose contrast with the first opaque background behind it is under 4.5
FAINT = """
(() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || ['TITLE', 'OPTION'].includes(e.tagName)) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 80)}`);
  }
  return faint;
})()
"""
