import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { examplesDirectory, readExamples } from './examples.js';
import { renderPage, type RenderedPage } from './render.js';

export interface GraphiQLPage {
  /** Whether a request to the GraphQL endpoint comes from someone who opened it in a browser. */
  wants(req: Pick<IncomingMessage, 'method' | 'headers'>): boolean;
  /** Answers with the page. Rejects, with nothing sent, where it cannot be rendered. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
}

export interface GraphiQLPageOptions {
  /** Where the documents lie that become its tabs. */
  readonly examplesDir?: string;
}

/**
 * GraphiQL, bundled: the page asks no other host for anything. It talks to the address that it was served from, so it
 * also works behind a proxy that adds a prefix. It is rendered when it is first asked for.
 */
export function createGraphiQLPage({ examplesDir }: GraphiQLPageOptions = {}): GraphiQLPage {
  let rendered: Promise<RenderedPage> | undefined;

  function page(): Promise<RenderedPage> {
    rendered ??= readExamples(examplesDir ?? examplesDirectory())
      .then(renderPage)
      .catch((error: unknown) => {
        rendered = undefined;
        throw error;
      });
    return rendered;
  }

  return {
    wants: ({ method, headers }) =>
      (method === 'GET' || method === 'HEAD') && headers.accept?.includes('text/html') === true,

    async handle(req, res) {
      const { brotli, gzip, hash, contentSecurityPolicy } = await page();
      const encoding = chooseEncoding(req.headers['accept-encoding']);
      const body = { br: brotli, gzip, identity: undefined }[encoding];
      const etag = `"${hash}-${encoding}"`;
      const headers: OutgoingHttpHeaders = {
        etag,
        // Kept, but asked for anew each time: that costs 304 and no body.
        'cache-control': 'no-cache',
        vary: 'Accept, Accept-Encoding',
        'content-security-policy': contentSecurityPolicy,
        'cross-origin-opener-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
      };
      if (holds(req.headers['if-none-match'], etag)) {
        res.writeHead(304, headers).end();
        return;
      }
      headers['content-type'] = 'text/html; charset=utf-8';
      if (body !== undefined) {
        headers['content-encoding'] = encoding;
        headers['content-length'] = body.length;
      }
      res.writeHead(200, headers);
      if (req.method === 'HEAD') res.end();
      else if (body !== undefined) res.end(body);
      // Every browser takes one of the two; for anything else it is unpacked again rather than kept. One who leaves
      // while it is sent is no error.
      else pipeline(Readable.from([gzip]), createGunzip(), res, () => undefined);
    },
  };
}

function chooseEncoding(accepted: string | string[] | undefined): 'br' | 'gzip' | 'identity' {
  const codings = String(accepted ?? '')
    .toLowerCase()
    .split(',')
    .map((coding) => coding.replaceAll(/\s/g, ''))
    .filter((coding) => !/;q=0(\.0*)?$/.test(coding))
    .map((coding) => coding.split(';')[0]);
  return codings.includes('br') ? 'br' : codings.includes('gzip') ? 'gzip' : 'identity';
}

function holds(ifNoneMatch: string | undefined, etag: string): boolean {
  return (ifNoneMatch ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
