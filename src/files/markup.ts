/**
 * Elements that make a text an HTML document to a browser that sniffs. Those that open many a Markdown file (`<p>`,
 * `<h1>`, `<div>`, `<br>`) are left out.
 */
const HTML_ROOTS = new Set(
  'html head body title meta link base style script iframe frameset object embed form template noscript'.split(
    ' ',
  ),
);

/** What may stand before the first element: space, XML declaration, comments, a document type. */
const PROLOG = /^(?:\s+|<\?[^]*?\?>|<!--[^]*?-->|<!doctype\b[^>[]*(?:\[[^\]]*\]\s*)?>)/i;

/**
 * The type of a text that is markup: image/svg+xml, text/html or application/xml; undefined for any other text. A
 * prolog that does not end within the sample hides the root, so it counts as XML: nobody pads an innocent text so.
 */
export function markupType(text: string): string | undefined {
  let rest = text.replace(/^\uFEFF/, '');
  const isXml = /^\s*<\?xml\b/i.test(rest);
  if (/^\s*<!doctype\s+html\b/i.test(rest)) return 'text/html';
  for (let part = PROLOG.exec(rest); part !== null; part = PROLOG.exec(rest)) {
    if (/^<!doctype\s+html\b/i.test(part[0])) return 'text/html';
    rest = rest.slice(part[0].length);
  }
  const root = /^<(?:[\w-]+:)?([a-z][\w-]*)/i.exec(rest)?.[1]?.toLowerCase();
  if (root === 'svg') return 'image/svg+xml';
  if (root !== undefined && HTML_ROOTS.has(root)) return 'text/html';
  return isXml || /^<(?:\?|!--|!doctype\b)/i.test(rest) ? 'application/xml' : undefined;
}
