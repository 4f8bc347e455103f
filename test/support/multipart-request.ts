import {
  request,
  type Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';

const BOUNDARY = 'parley-test-boundary';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A multipart request that is written piece by piece, so that a test decides what arrives when, and what never does. */
export class MultipartRequest {
  readonly answer: Promise<Answer>;
  private readonly request: ClientRequest;
  private isOver = false;
  /** Resolves when nothing more can be sent. */
  private readonly over: Promise<void>;

  constructor(url: string, headers: Record<string, string> = {}, agent?: Agent) {
    this.request = request(url, {
      method: 'POST',
      agent: agent ?? false,
      headers: {
        'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
        'apollo-require-preflight': 'true',
        ...headers,
      },
    });
    this.answer = new Promise((resolve, reject) => {
      this.request.once('response', (response: IncomingMessage) => {
        // The answer counts once it is whole, whatever becomes of a body that is still being sent.
        text(response).then((body) => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        }, reject);
      });
      this.request.on('error', reject);
    });
    this.over = new Promise((resolve) => {
      const end = (): void => {
        this.isOver = true;
        resolve();
      };
      this.request.once('close', end);
      this.answer.then(end, end);
    });
  }

  /** Writes `operations` and `map`. */
  async head(operations: unknown, map: unknown): Promise<this> {
    await this.field('operations', JSON.stringify(operations));
    return this.field('map', JSON.stringify(map));
  }

  async field(name: string, value: string): Promise<this> {
    return this.raw(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
  }

  /** Begins a file part: its bytes follow by `raw`, and `endFile`. */
  async beginFile(name: string, filename: string, type = 'application/octet-stream'): Promise<this> {
    const disposition = `form-data; name="${name}"; filename="${filename}"`;
    return this.raw(`--${BOUNDARY}\r\nContent-Disposition: ${disposition}\r\nContent-Type: ${type}\r\n\r\n`);
  }

  async file(name: string, filename: string, bytes: Uint8Array | string, type?: string): Promise<this> {
    await this.beginFile(name, filename, type);
    await this.raw(bytes);
    return this.raw('\r\n');
  }

  /** Waits until the connection has taken it, unless that is over. */
  async raw(bytes: Uint8Array | string): Promise<this> {
    if (this.isOver) return this;
    await Promise.race([new Promise((resolve) => this.request.write(bytes, resolve)), this.over]);
    return this;
  }

  end(): Promise<Answer> {
    this.request.end(`--${BOUNDARY}--\r\n`);
    return this.answer;
  }

  /** Ends the body where it stands, as if it were whole. */
  cutOff(): Promise<Answer> {
    this.request.end();
    return this.answer;
  }

  /** As a client that loses its network. */
  async abort(): Promise<void> {
    // What was written is on its way first.
    await delay(20);
    this.request.destroy();
  }
}
