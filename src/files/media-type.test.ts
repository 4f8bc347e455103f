import { randomBytes } from 'node:crypto';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isAllowed, judgeMediaType, SAMPLE_BYTES } from './media-type.js';

const judge = (bytes: Buffer | string, name = 'file', claimedType = ''): Promise<string> => {
  const whole = Buffer.from(bytes);
  return judgeMediaType({
    bytes: whole.subarray(0, SAMPLE_BYTES),
    complete: whole.length <= SAMPLE_BYTES,
    name,
    claimedType,
  });
};

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** A zip with local headers only, which is all that a reader from the start sees. */
function zip(entries: readonly (readonly [name: string, content: string | Buffer])[]): Buffer {
  return Buffer.concat(
    entries.flatMap(([name, content]) => {
      const data = deflateRawSync(content);
      const header = Buffer.alloc(30);
      header.write('PK\x03\x04', 'latin1');
      header.writeUInt16LE(20, 4);
      header.writeUInt16LE(8, 8);
      header.writeUInt32LE(data.length, 18);
      header.writeUInt32LE(content.length, 22);
      header.writeUInt16LE(name.length, 26);
      return [header, Buffer.from(name), data];
    }),
  );
}

const contentTypes = (main: string): string =>
  `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
  `<Override PartName="/main.xml" ContentType="application/vnd.openxmlformats-officedocument.${main}.main+xml"/></Types>`;

describe('the type of a file', () => {
  it('is judged by its bytes, whatever it is called and claimed to be', async () => {
    expect(await judge(PNG, 'report.pdf', 'application/pdf')).toBe('image/png');
    expect(await judge('%PDF-1.7\n1 0 obj', 'photo.png', 'image/png')).toBe('application/pdf');
    expect(await judge(Buffer.from('MZ\x90\0\x03\0\0\0', 'latin1'), 'photo.png', 'image/png')).toBe(
      'application/x-msdownload',
    );
    expect(await judge(Buffer.from('\x7fELF\x02\x01\x01\0', 'latin1'), 'notes.txt', 'text/plain')).toBe(
      'application/x-elf',
    );
  });

  it('is octet-stream where nothing fits', async () => {
    expect(await judge(Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]), 'a.txt', 'text/plain')).toBe(
      'application/octet-stream',
    );
    expect(await judge(Buffer.from('caf\xE9', 'latin1'), 'a.txt', 'text/plain')).toBe(
      'application/octet-stream',
    );
    expect(await judge('text\0with a zero', 'a.txt', 'text/plain')).toBe('application/octet-stream');
  });

  it.each([
    ['word/document.xml', 'wordprocessingml.document'],
    ['xl/workbook.xml', 'spreadsheetml.sheet'],
    ['ppt/presentation.xml', 'presentationml.presentation'],
  ])('is that of an office document with %s', async (part, type) => {
    const head = ['[Content_Types].xml', contentTypes(type)] as const;
    expect(await judge(zip([head, [part, '<x/>']]))).toBe(
      `application/vnd.openxmlformats-officedocument.${type}`,
    );
  });

  it('is that of an OpenDocument, an EPUB, a plain zip', async () => {
    const stored = (type: string): Buffer => {
      const archive = zip([['mimetype', '']]).subarray(0, 38);
      archive.writeUInt16LE(0, 8);
      archive.writeUInt32LE(type.length, 18);
      archive.writeUInt32LE(type.length, 22);
      return Buffer.concat([archive, Buffer.from(type)]);
    };
    expect(await judge(stored('application/vnd.oasis.opendocument.text'))).toBe(
      'application/vnd.oasis.opendocument.text',
    );
    expect(await judge(stored('application/epub+zip'))).toBe('application/epub+zip');
    expect(
      await judge(
        zip([
          ['a.txt', 'x'],
          ['b.txt', 'y'],
        ]),
      ),
    ).toBe('application/zip');
  });

  it('is that of an office document whose parts are larger than the sample', async () => {
    const noise = randomBytes(300_000);
    const head = ['[Content_Types].xml', contentTypes('presentationml.presentation')] as const;
    expect(await judge(zip([head, ['ppt/media/film.bin', noise]]))).toMatch(/presentation$/);
    expect(await judge(zip([['media/film.bin', noise], head]))).toBe('application/zip');
  });

  it('is gzip for gzip', async () => {
    expect(await judge(gzipSync('x'))).toBe('application/gzip');
  });

  it('is plain text for UTF-8, refined by name and claim among kinds of text alone', async () => {
    expect(await judge('hello\nworld')).toBe('text/plain');
    expect(await judge('\uFEFFgrüße, 世界 🎉')).toBe('text/plain');
    expect(await judge('a,b\n1,2', 'table.csv')).toBe('text/csv');
    expect(await judge('a,b\n1,2', 'table', 'text/csv')).toBe('text/csv');
    expect(await judge('# Title', 'README.md', 'image/png')).toBe('text/markdown');
    expect(await judge('alert(1)', 'script.js', 'text/javascript')).toBe('text/plain');
    expect(await judge('hello', 'photo.png', 'image/png')).toBe('text/plain');
    expect(await judge('BMW is a maker of cars', 'notes.txt')).toBe('text/plain');
    expect(await judge('MZ is how programs begin', 'notes.txt')).toBe('text/plain');
  });

  it('is JSON where it parses, or begins so when it is long', async () => {
    expect(await judge('{"a": [1]}', 'a.json')).toBe('application/json');
    expect(await judge('{"a": [1]', 'a.json')).toBe('text/plain');
    expect(await judge(`[${'"x",'.repeat(50_000)}"x"]`, 'a.json')).toBe('application/json');
    expect(await judge('x'.repeat(100_000), 'a.json')).toBe('text/plain');
  });

  it('is text also where the sample ends in the middle of a character', async () => {
    expect(await judge('ä'.repeat(100_000))).toBe('text/plain');
    expect(await judge(`x${'ä'.repeat(100_000)}`)).toBe('text/plain');
  });

  it.each([
    '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    '\uFEFF  <?xml version="1.0"?>\n<!-- a picture -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">\n<svg/>',
    '<!DOCTYPE svg [ <!ENTITY x "y"> ]><svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>',
  ])('is SVG for SVG: %s', async (text) => {
    expect(await judge(text, 'notes.txt', 'text/plain')).toBe('image/svg+xml');
    expect(await judge(text, 'photo.png', 'image/png')).toBe('image/svg+xml');
  });

  it.each([
    '<!doctype html><p>hi',
    '  <HTML><body>',
    '<script>alert(1)</script>',
    '<!-- x --><iframe src="x">',
    '<?xml version="1.0"?><html/>',
  ])('is HTML for HTML: %s', async (text) => {
    expect(await judge(text, 'notes.md', 'text/markdown')).toBe('text/html');
  });

  it('is XML for other XML, and for a prolog that hides what it is', async () => {
    expect(await judge('<?xml version="1.0"?><feed/>', 'notes.txt')).toBe('application/xml');
    expect(await judge(`<!-- ${'x'.repeat(100_000)} --><svg/>`, 'notes.txt')).toBe('application/xml');
  });

  it('is Markdown for Markdown that begins with a tag', async () => {
    expect(await judge('<h1 align="center">Parley</h1>\n\nText', 'README.md')).toBe('text/markdown');
    expect(await judge('<https://example.com> is where', 'README.md')).toBe('text/markdown');
  });
});

describe('an allow list', () => {
  it('takes types and families', () => {
    expect(isAllowed('image/png', ['image/png'])).toBe(true);
    expect(isAllowed('audio/mpeg', ['audio/*'])).toBe(true);
    expect(isAllowed('image/svg+xml', ['image/png', 'audio/*'])).toBe(false);
    expect(isAllowed('application/octet-stream', ['image/*', 'text/*'])).toBe(false);
  });
});
