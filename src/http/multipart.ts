import { processRequest } from 'graphql-upload-minimal';
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { incomplete } from '../files/incoming-file.js';
import {
  isObject,
  MultipartError,
  parseJson,
  placeValue,
  readFileMap,
  type FileMap,
} from './multipart-map.js';
import { decideKinds, type PartKind, type PartSaid } from './multipart-headers.js';
import { PartQueue, type PartInfo } from './multipart-parts.js';
import { discardRest, lengthOf } from './multipart-rest.js';
import { quickenSearch } from './multipart-search.js';
import { shareFile } from './shared-file.js';
import { decoded, isUtf8Name } from './utf8.js';

export interface MultipartOptions {
  /** Files in one request. */
  readonly maxFiles: number;
  /** Bytes of `operations`, and of `map`. */
  readonly maxFieldBytes: number;
  /** Bytes of one file: that much of a refused one is thrown away to get at those after it. */
  readonly maxFileBytes: number;
}

export interface MultipartRequest {
  /** The GraphQL parameters, with an IncomingFile wherever `map` places one. */
  readonly operations: unknown;
  /**
   * Call it when the result is known, right before it is sent: files that nobody asked for fail, and what is left of the
   * body is thrown away, or the connection closes (multipart-rest.ts). Never waits.
   */
  finish(): { closes: boolean };
}

/** Bytes of a request that nobody asked for, and milliseconds they may take, before the connection is given up. */
const UNREAD_BYTES = 1024 * 1024;
const UNREAD_MS = 2000;
/** Parts beside those that the map names, which are thrown away. */
const STRANGERS = 20;
/** Milliseconds for `operations` and `map` to arrive. */
const FIELDS_MS = 30_000;
/** Milliseconds without a byte after which an upload is taken for dead. */
const IDLE_MS = 120_000;

/**
 * Reads a request by the GraphQL multipart request spec up to its `map`; the files stream when they are asked for. Throws
 * MultipartError for what breaks the spec. After a throw the caller answers and calls `discardRest`.
 *
 * The parsing is graphql-upload-minimal's. It is given the request behind a gate, which mends what it lets pass: paths into
 * prototypes, parts that nobody reads, parser errors that come twice, and endless draining of what was refused.
 */
export async function parseMultipartRequest(
  req: IncomingMessage,
  res: ServerResponse,
  options: MultipartOptions,
): Promise<MultipartRequest> {
  const gate = new Gate(req, options);
  req.setTimeout(IDLE_MS);
  req.once('end', () => req.setTimeout(0));
  const deadline = setTimeout(
    () => gate.refuse(new MultipartError('`operations` and `map` did not arrive.')),
    FIELDS_MS,
  );
  try {
    const maxFiles = options.maxFiles + STRANGERS;
    const maxFieldSize = options.maxFieldBytes;
    const parsed = processRequest(gate.source, res, { maxFiles, maxFieldSize });
    const operations: unknown = await Promise.race([parsed, gate.refused]);
    gate.place(operations);
    return {
      operations,
      finish: () => {
        gate.close();
        return discardRest(req, res, gate.bytesToCome);
      },
    };
  } catch (error) {
    gate.close();
    throw asMultipartError(error);
  } finally {
    clearTimeout(deadline);
  }
}

interface FieldInfo {
  readonly valueTruncated: boolean;
}

/** Stands between the request, the parser that graphql-upload-minimal makes, and that library's listeners. */
class Gate {
  /** What the library takes for the request. */
  readonly source: IncomingMessage;
  /** Rejects when the gate refuses the request; never resolves. */
  readonly refused: Promise<never>;
  refuse!: (error: MultipartError) => void;
  /** Bytes of the body that were read. */
  private received = 0;
  private parser: Writable | undefined;
  private operations: unknown;
  private map: FileMap | undefined;
  private parts: PartQueue | undefined;
  private readonly begunFields = new Set<string>();
  private passedOver = 0;

  constructor(
    private readonly req: IncomingMessage,
    private readonly options: MultipartOptions,
  ) {
    this.refused = new Promise((_resolve, reject) => {
      this.refuse = reject;
    });
    this.refused.catch(() => undefined);
    const source: Pick<IncomingMessage, 'headers' | 'once' | 'readableEnded'> &
      Record<'pipe' | 'unpipe' | 'resume', unknown> = {
      headers: { ...req.headers, 'content-type': plainType(req.headers['content-type'] ?? '') },
      once: req.once.bind(req),
      get readableEnded() {
        return req.readableEnded;
      },
      pipe: (parser: Writable) => this.attach(parser),
      unpipe: (parser: Writable) => req.unpipe(parser),
      // The library would read on to the end after an error, however far that is.
      resume: () => undefined,
    };
    this.source = source as unknown as IncomingMessage;
  }

  /** Bytes of the body that were not read yet; Infinity where nobody knows. */
  get bytesToCome(): number {
    const length = lengthOf(this.req);
    // A body in chunks has come to its end, all but a few bytes, when every part that was announced has.
    return length === Infinity && this.parts?.isDone === true ? 0 : length - this.received;
  }

  /** Puts the files where the map has them. */
  place(operations: unknown): void {
    for (const [name, places] of this.map ?? []) {
      if (this.parts === undefined) return;
      const files = shareFile(this.parts.fileOf(name), places.length);
      for (const [i, place] of places.entries()) placeValue(operations, place, files[i]);
    }
  }

  /** Reads no further. Whoever waits for a file gets UPLOAD_INCOMPLETE. */
  close(): void {
    this.parts?.end(incomplete('The request was answered before this file arrived.'));
    if (this.parser === undefined) return;
    this.req.unpipe(this.parser);
    this.parser.destroy();
  }

  private attach(parser: Writable): void {
    this.parser = parser;
    quickenSearch(parser);
    decideKinds(parser, (part) => this.kindOf(part));
    // The library listens once, and a parser that is torn down can fail twice.
    parser.on('error', (error: unknown) =>
      this.parts?.end(incomplete('The request was cut off: send the file again.', error)),
    );
    parser.once('close', () => this.parts?.end(incomplete('The request has no part for this file.')));
    intercept<[name: string, value: string, FieldInfo]>(parser, 'field', (next) => (name, value, info) => {
      const text = this.admitField(name, value, info);
      if (text !== undefined) next(name, text, info);
    });
    intercept<[name: string, stream: Readable, PartInfo]>(parser, 'file', (next) => (name, stream, info) => {
      // The library refuses a file that comes before the map, and keeps its books on each that the map names.
      if (this.parts === undefined || this.parts.expects(name)) next(name, stream, info);
      this.parts?.arrive(name, stream, info);
    });
    this.req.pipe(parser);
    this.req.on('data', (chunk: Buffer) => {
      this.count(chunk.length);
    });
  }

  private count(bytes: number): void {
    this.received += bytes;
    this.parts?.count(bytes);
    if (this.parts === undefined && this.received > 2 * this.options.maxFieldBytes + UNREAD_BYTES) {
      this.refuse(new MultipartError('`operations` and `map` must come before the files, and in full.', 413));
    }
  }

  /**
   * `operations` and `map` are fields, whatever they look like: a Blob has a file name. Behind them everything is a file, and before
   * them whatever else looks like none is passed over.
   */
  private kindOf({ name, isFile, charset }: PartSaid): PartKind {
    if (this.parts !== undefined) return 'file';
    if ((name !== 'operations' && name !== 'map') || this.begunFields.has(name)) {
      if (isFile) return 'file';
      // The parser counts none that it passes over.
      this.passedOver += 1;
      if (this.passedOver > STRANGERS) this.refuse(new MultipartError('Too many fields before `map`.'));
      return 'skip';
    }
    this.begunFields.add(name);
    if (isUtf8Name(charset)) return 'field';
    this.refuse(new MultipartError(`\`${name}\` must be in UTF-8.`));
    return 'skip';
  }

  /**
   * Reads the two fields beside the library, and answers the text that it gets; undefined for what it would not refuse itself. `bytes`: each as
   * a character.
   */
  private admitField(name: string, bytes: string, { valueTruncated }: FieldInfo): string | undefined {
    if (valueTruncated) return bytes;
    try {
      const text = decoded(Buffer.from(bytes, 'latin1'));
      if (text === undefined) throw new MultipartError(`\`${name}\` is not valid UTF-8.`);
      if (name === 'operations') {
        this.operations = parseJson(name, text);
        if (!isObject(this.operations) && !Array.isArray(this.operations)) {
          throw new MultipartError('`operations` must be a JSON object with `query` and `variables`.');
        }
      } else if (name === 'map' && this.operations !== undefined) {
        const { maxFiles, maxFileBytes } = this.options;
        this.map = readFileMap(text, this.operations, maxFiles);
        const limits = { unreadBytes: UNREAD_BYTES, unreadMs: UNREAD_MS, refusedBytes: maxFileBytes };
        this.parts = new PartQueue(this.map.keys(), limits, () => this.close());
      }
      return text;
    } catch (error) {
      this.refuse(asMultipartError(error));
      return undefined;
    }
  }
}

/** The type as the library looks for it: in small letters, with a semicolon right behind. */
const plainType = (contentType: string): string =>
  contentType.replace(/^multipart\/form-data\s*;/i, 'multipart/form-data;');

/** Puts `wrap` between an emitter and the one listener that it has for an event. */
function intercept<Args extends unknown[]>(
  emitter: EventEmitter,
  event: string,
  wrap: (next: (...args: Args) => void) => (...args: Args) => void,
): void {
  const [listener] = emitter.listeners(event) as ((...args: Args) => void)[];
  if (listener === undefined) throw new Error(`graphql-upload-minimal does not listen to ${event}`);
  emitter.removeAllListeners(event);
  emitter.on(event, wrap(listener) as never);
}

/** The library's errors carry a status, the parser's do not; both tell of a request that is wrong. */
function asMultipartError(error: unknown): MultipartError {
  if (error instanceof MultipartError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const tooLarge = error instanceof Error && 'status' in error && error.status === 413;
  return new MultipartError(`Not a valid multipart request: ${message}`, tooLarge ? 413 : 400);
}
