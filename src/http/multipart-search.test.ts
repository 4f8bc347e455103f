import fc from 'fast-check';
import { processRequest } from 'graphql-upload-minimal';
import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, vi } from 'vitest';
import { quickenSearch } from './multipart-search.js';

const BOUNDARY = 'boundary-z';

/** The parser that graphql-upload-minimal makes, with none of its listeners. */
function makeParser(): Writable {
  let parser: Writable | undefined;
  const request = Object.assign(new EventEmitter(), {
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    pipe: (given: Writable) => (parser = given),
    unpipe: () => undefined,
    resume: () => undefined,
  });
  processRequest(
    request as unknown as IncomingMessage,
    new EventEmitter() as unknown as ServerResponse,
    {},
  ).catch(() => undefined);
  if (parser === undefined) throw new Error('no parser was made');
  for (const event of ['file', 'field', 'finish', 'error', 'close']) parser.removeAllListeners(event);
  return parser;
}

/** The files of a body that arrives in these pieces. */
async function filesOf(parser: Writable, pieces: readonly Buffer[]): Promise<Buffer[]> {
  const files: Promise<Buffer>[] = [];
  parser.on('file', (_name: string, stream: Readable) => files.push(buffer(stream)));
  const over = once(parser, 'close');
  for (const piece of pieces) if (!parser.write(piece)) await once(parser, 'drain');
  parser.end();
  await over;
  return Promise.all(files);
}

const bodyOf = (files: readonly Buffer[]): Buffer =>
  Buffer.concat([
    ...files.flatMap((file, index) => [
      Buffer.from(
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${String(index)}"; filename="x"\r\n\r\n`,
      ),
      file,
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ]);

function cut(body: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let index = 0; at < body.length; index += 1) {
    const length = lengths[index % lengths.length] ?? body.length;
    pieces.push(body.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** What looks like a boundary for a while, and is none. */
const nearly = fc.constantFrom(
  '\r',
  '\n',
  '\r\n',
  '\r\n-',
  '\r\n--',
  '\r\n--boundary',
  '\r\n--boundary-',
  'a',
  'bc',
);
const content = fc.array(nearly, { maxLength: 40 }).map((parts) => Buffer.from(parts.join('')));

describe('the search for boundaries', () => {
  it('finds the same files, wherever the body is cut and whatever looks like a boundary', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(content, { minLength: 1, maxLength: 3 }),
        fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 8 }),
        async (files, lengths) => {
          const parser = makeParser();
          expect(quickenSearch(parser)).toBe(true);
          expect(await filesOf(parser, cut(bodyOf(files), lengths))).toEqual(files);
        },
      ),
    );
  });

  it('passes on a chunk without a boundary as it is, and goes through none of it by itself', async () => {
    const parser = makeParser();
    const slow = vi.spyOn(
      (parser as unknown as { _bparser: { push(chunk: Buffer): void } })._bparser,
      'push',
    );
    quickenSearch(parser);
    const file = Buffer.concat([Buffer.from('x'), Buffer.alloc(128 * 1024, 1)]);
    const body = bodyOf([file]);
    // The head of the part comes with the first byte: behind a line break alone there may be a boundary.
    const begin = body.indexOf(file) + 1;
    const pieces = [0, begin, begin + 64 * 1024, begin + 128 * 1024].map((from, index, cuts) =>
      body.subarray(from, cuts[index + 1]),
    );
    const [found] = await filesOf(parser, pieces);
    expect(found?.equals(file)).toBe(true);
    for (const [chunk] of slow.mock.calls) expect(chunk.length).toBeLessThan(1024);
  });

  it('leaves a parser alone that has no such search', () => {
    expect(quickenSearch(new PassThrough())).toBe(false);
  });
});
