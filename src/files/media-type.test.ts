import { randomBytes } from 'node:crypto';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { cpuTime } from '../../test/support/work.js';
import { isAllowed, judgeMediaType, SAMPLE_BYTES, type Judgement } from './media-type.js';

/** As an upload is judged: by its first bytes, and by the rest, in chunks of an odd size, where those do not decide. */
async function judgement(bytes: Buffer | string, name = 'file', claimedType = ''): Promise<Judgement> {
  const whole = Buffer.from(bytes);
  const { later, ...first } = await judgeMediaType({
    bytes: whole.subarray(0, SAMPLE_BYTES),
    complete: whole.length <= SAMPLE_BYTES,
    name,
    claimedType,
  });
  for (let from = SAMPLE_BYTES; from < whole.length; from += 10_001)
    later?.add(whole.subarray(from, from + 10_001));
  return (await later?.end()) ?? first;
}

const judge = async (...args: Parameters<typeof judgement>): Promise<string> =>
  (await judgement(...args)).type;

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

/** The same with the central directory that archives end with. */
function withDirectory(entries: Parameters<typeof zip>[0]): Buffer {
  const directory = Buffer.concat(
    entries.map(([name]) => {
      const entry = Buffer.alloc(46);
      entry.write('PK\x01\x02', 'latin1');
      entry.writeUInt16LE(name.length, 28);
      return Buffer.concat([entry, Buffer.from(name)]);
    }),
  );
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt32LE(directory.length, 12);
  return Buffer.concat([zip(entries), directory, end]);
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

  it.each([
    ['word/document.xml', 'wordprocessingml.document'],
    ['xl/workbook.xml', 'spreadsheetml.sheet'],
    ['ppt/presentation.xml', 'presentationml.presentation'],
  ])('is that of an office document whose directory has %s behind a large picture', async (part, type) => {
    const picture = ['media/image1.png', randomBytes(300_000)] as const;
    const parts = [picture, ['[Content_Types].xml', contentTypes(type)], [part, '<x/>']] as const;
    expect(await judge(withDirectory(parts))).toBe(`application/vnd.openxmlformats-officedocument.${type}`);
    const macros = [...parts, [`${part.split('/')[0]}/vbaProject.bin`, 'x']] as const;
    expect(await judge(withDirectory(macros))).toBe('application/zip');
    expect(await judge(withDirectory([picture, [part, '<x/>']]))).toBe('application/zip');
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

  it.each([
    ['spaces in a document type', '<!doctype x', ' '],
    ['brackets in a document type', '<!doctype x[', ']['],
    ['declarations', '', '<?xml ?>'],
    ['comments that do not end', '', '<!--'],
    ['comments', '', '<!---->'],
    ['document types', '', '<!doctype '],
    ['spaces', '', ' '],
    ['elements without a name', '', '<'],
    ['letters of a name', '<', 'a-'],
    ['prefixes', '<', 'a:'],
    ['brackets of JSON', '', '['],
    ['signs of mail', '', 'From: '],
  ])('is found at once in a sample of %s', async (_what, start, unit) => {
    const text = start + unit.repeat(SAMPLE_BYTES / unit.length);
    const work = () => judge(text, 'a.json', 'application/json');
    expect(await cpuTime(work, 300)).toBeLessThan(300);
  });

  it('is Markdown for Markdown that begins with a tag', async () => {
    expect(await judge('<h1 align="center">Parley</h1>\n\nText', 'README.md')).toBe('text/markdown');
    expect(await judge('<https://example.com> is where', 'README.md')).toBe('text/markdown');
  });
});

describe('text in other encodings', () => {
  const utf16be = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();

  it.each([
    [
      'UTF-16 as Excel saves it',
      Buffer.from('\uFEFFName\tStraße\r\nMüller\tHauptstraße 1\r\n', 'utf16le'),
      'utf-16le',
    ],
    ['UTF-16 of scripts without a zero byte', Buffer.from('\uFEFF名前\u3000住所', 'utf16le'), 'utf-16le'],
    ['UTF-16 in the other byte order', utf16be('\uFEFFName\tCity'), 'utf-16be'],
    ['UTF-16 without a mark', Buffer.from('Name\tCity\nAda\tLondon', 'utf16le'), 'utf-16le'],
    [
      'Windows-1252',
      Buffer.from('Name;Stra\xDFe;Stadt\nM\xFCller;Hauptstra\xDFe 1;K\xF6ln\n', 'latin1'),
      'windows-1252',
    ],
    ['Shift_JIS', Buffer.from('96bc914f2c8f5a8f8a0a8e5293638b6791be98592c938c8b9e9373', 'hex'), 'shift_jis'],
  ])('is text: %s', async (_what, bytes, charset) => {
    expect(await judgement(bytes, 'table.csv', 'text/csv')).toEqual({ type: 'text/csv', charset });
    expect(await judgement(bytes, 'notes.txt')).toEqual({ type: 'text/plain', charset });
  });

  it('is markup where UTF-16 holds markup', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';
    for (const bytes of [
      Buffer.from(`\uFEFF${svg}`, 'utf16le'),
      utf16be(`\uFEFF${svg}`),
      Buffer.from(svg, 'utf16le'),
      utf16be(svg),
    ])
      expect(await judge(bytes, 'notes.txt', 'text/plain')).toBe('image/svg+xml');
    const html = Buffer.from('<html><body>\xE9', 'latin1');
    expect(await judge(html, 'notes.txt', 'text/plain')).toBe('text/html');
  });

  it('is no text where there are control characters, whatever the encoding', async () => {
    for (const bytes of [
      Buffer.from('\uFEFFa\u0001b', 'utf16le'),
      Buffer.from('\xE9\x01\x02\x03', 'latin1'),
      Buffer.from([0xff, 0xfe, 0x00, 0xd8]),
      randomBytes(2000),
    ])
      expect(await judgement(bytes, 'a.txt', 'text/plain')).toEqual({
        type: 'application/octet-stream',
        charset: null,
      });
  });
});

describe('what merely begins like a format', () => {
  it.each([
    ['MPEG audio', [0xff, 0xfb, 0x90, 0x00]],
    ['AAC', [0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f]],
    ['a bitmap', [0x42, 0x4d, 0x00, 0x01]],
  ])('is not %s', async (_what, start) => {
    const rest = Buffer.alloc(5000, 1);
    expect(await judge(Buffer.concat([Buffer.from(start), rest]))).toBe('application/octet-stream');
  });

  it('is MPEG audio where frames follow each other, from one to many', async () => {
    // MPEG-1 layer III, 128 kbit/s at 44.1 kHz: 417 bytes a frame.
    const frame = Buffer.alloc(417);
    frame.writeUInt32BE(0xff_fb_90_00);
    expect(await judge(frame)).toBe('audio/mpeg');
    expect(await judge(Buffer.concat(Array.from({ length: 400 }, () => frame)))).toBe('audio/mpeg');
    expect(await judge(Buffer.concat([frame, Buffer.alloc(1000, 1)]))).toBe('application/octet-stream');
  });
});

describe('what hides behind its beginning', () => {
  const space = ' \n'.repeat(50_000);

  it.each([
    ['<svg/>', 'image/svg+xml'],
    ['<script>alert(1)</script>', 'text/html'],
    ['<?xml version="1.0"?><feed/>', 'application/xml'],
    ['a,b\n1,2', 'text/csv'],
  ])('is judged by what comes behind 64 KB of space: %s', async (text, type) => {
    expect(await judge(space + text, 'table.csv')).toBe(type);
    expect(await judge(Buffer.from(`\uFEFF${space}${text}`, 'utf16le'), 'table.csv')).toBe(type);
    expect(await judge(space + text + 'x'.repeat(200_000), 'table.csv')).toBe(type);
  });

  it('is plain text where nothing but space comes, and unknown where no text comes', async () => {
    expect(await judge(space)).toBe('text/plain');
    expect(await judge(Buffer.concat([Buffer.from(space), Buffer.from([0, 1, 2])]))).toBe(
      'application/octet-stream',
    );
  });

  it('is a PDF behind space and a byte order mark', async () => {
    expect(await judge('\n\n%PDF-1.7\n1 0 obj')).toBe('application/pdf');
    expect(
      await judge(Buffer.concat([Buffer.from('\uFEFF%PDF-1.4\n'), Buffer.from([0xe2, 0xe3, 0xcf, 0xd3, 0])])),
    ).toBe('application/pdf');
  });
});

describe('formats that begin with a line of text', () => {
  it.each([
    ['BEGIN:VCALENDAR\r\nVERSION:2.0\r\n', 'text/calendar'],
    ['\uFEFFbegin:vcard\nVERSION:3.0\n', 'text/vcard'],
    ['WEBVTT\n\n00:00.000 --> 00:01.000\nHi', 'text/vtt'],
    ['WEBVTTX is no subtitle', 'text/plain'],
  ])('are told by it: %j', async (text, type) => {
    expect(await judge(text, 'file.txt', 'text/plain')).toBe(type);
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
