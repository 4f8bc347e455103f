import type * as crypto from 'node:crypto';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type * as zlib from 'node:zlib';
import type * as bundle from '@graphql-yoga/render-graphiql';
import type { Example } from './examples.js';
import { openConsole } from './in-browser/console.js';
import { follow } from './in-browser/follow.js';
import { operationsOf } from './in-browser/operations.js';
import { fillVariables } from './in-browser/variables.js';

/** The page, ready to be sent. */
export interface RenderedPage {
  readonly brotli: Buffer;
  readonly gzip: Buffer;
  readonly hash: string;
  readonly contentSecurityPolicy: string;
}

interface Job {
  readonly module: string;
  readonly options: object;
  /** What stands in the options as a string in quotes, and the expression that takes its place. */
  readonly expressions: Readonly<Record<string, string>>;
  readonly head: string;
}

interface Rendered {
  readonly brotli: Uint8Array;
  readonly gzip: Uint8Array;
  readonly hash: string;
  readonly scripts: readonly string[];
}

/**
 * The page carries all of GraphiQL, 9 MB of text. A thread of its own loads, assembles and compresses it, so that no
 * live connection waits for that, and takes what it loaded with it when it ends.
 */
export async function renderPage(examples: readonly Example[]): Promise<RenderedPage> {
  const job: Job = {
    module: createRequire(import.meta.url).resolve('@graphql-yoga/render-graphiql'),
    options: {
      title: 'Parley',
      favicon: `data:image/svg+xml,${encodeURIComponent(ICON)}`,
      logo: ICON,
      // The bundle puts these into the page as JSON, and JSON knows no functions.
      fetcher: '%fetcher%',
      defaultTabs: '%tabs%',
      query: '%query%',
      variables: '%variables%',
      initialHeaders: '%headers%',
      onEditQuery: '%onEditQuery%',
    },
    expressions: {
      '%fetcher%': 'parley.fetcher',
      '%tabs%': 'parley.tabs',
      '%query%': 'parley.query',
      '%variables%': 'parley.variables',
      '%headers%': 'parley.headers',
      // Its default writes every keystroke into the address.
      '%onEditQuery%': '() => {}',
    },
    head: headScript(examples),
  };
  const rendered = await inThread(job);
  return {
    brotli: Buffer.from(rendered.brotli.buffer),
    gzip: Buffer.from(rendered.gzip.buffer),
    hash: rendered.hash,
    // No other host, no script but these, and nobody's frame. Monaco writes style elements and starts its workers from blobs.
    contentSecurityPolicy: [
      `default-src 'none'`,
      `script-src ${rendered.scripts.map((hash) => `'sha256-${hash}'`).join(' ')}`,
      `style-src 'unsafe-inline'`,
      `img-src data:`,
      `font-src data:`,
      `connect-src 'self'`,
      `worker-src blob:`,
      `base-uri 'none'`,
      `form-action 'none'`,
      `frame-ancestors 'none'`,
    ].join('; '),
  };
}

/** Defines `parley`, from which the script that starts GraphiQL takes its fetcher and its tabs. */
function headScript(examples: readonly Example[]): string {
  const tabs = examples.map(({ query, variables }) => ({ query, variables, headers: '' }));
  const tabOf = Object.fromEntries(
    examples.flatMap(({ name, fields }) => fields.map((field) => [field, name])),
  );
  // `__name`: what esbuild leaves behind in functions that it was told to keep the names of.
  // The style: the bundle's tabs slide in, and where they had come from they jump when they are first pressed, so that
  // the click misses them.
  return `<style>.graphiql-tab { transform: none !important; }</style>
<script>
const parley = (() => {
  const __name = (target) => target;
  const asked = new URLSearchParams(location.search).get('query');
  const examples = ${jsonForScript(tabs)};
  const tabs = asked === null ? examples : [{ query: asked, variables: '', headers: '' }, ...examples];
  const endpoint = new URL(location.pathname, location.href);
  const status = document.createElement('div');
  status.id = 'parley-status';
  status.setAttribute('role', 'status');
  status.style.cssText =
    'position:fixed;right:24px;bottom:2px;z-index:1;font:12px/1.4 system-ui,sans-serif;color:gray;pointer-events:none';
  addEventListener('DOMContentLoaded', () => document.body.append(status));
  const fetcher = (${openConsole.toString()})(
    {
      post: (headers, body) => fetch(endpoint, { method: 'POST', headers, body }),
      openSocket: () => new WebSocket(endpoint.href.replace(/^http/, 'ws'), 'graphql-transport-ws'),
      storage: sessionStorage,
      channel: new BroadcastChannel('parley:console'),
      say: (text) => { status.textContent = text; },
    },
    ${jsonForScript(tabOf)},
    { follow: ${follow.toString()}, operationsOf: ${operationsOf.toString()}, fillVariables: ${fillVariables.toString()} },
  );
  // GraphiQL wants to be told apart from its tabs what to open with. It opens a tab more where no tab is quite the same.
  function opening() {
    const stored = localStorage.getItem('graphiql:tabState');
    if (asked !== null || stored === null) return tabs[0] ?? {};
    const state = JSON.parse(stored);
    return state.tabs[state.activeTabIndex] ?? {};
  }
  const { query, variables, headers } = opening();
  return { tabs, fetcher, query, variables, headers };
})();
</script>`;
}

function jsonForScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

/** Runs `work` in a thread. Only its source text goes there, so it imports nothing: it is handed `require`. */
function inThread(job: Job): Promise<Rendered> {
  const code = `
    const __name = (target) => target;
    const { parentPort, workerData } = require('node:worker_threads');
    const rendered = (${work.toString()})(require, workerData);
    parentPort.postMessage(rendered, [rendered.brotli.buffer, rendered.gzip.buffer]);`;
  return new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true, workerData: job, execArgv: [] });
    worker.unref();
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => {
      reject(new Error('The thread that renders GraphiQL ended without an answer.'));
    });
  });
}

function work(require: NodeJS.Require, { module, options, expressions, head }: Job): Rendered {
  const { renderGraphiQL } = require(module) as typeof bundle;
  const { createHash } = require('node:crypto') as typeof crypto;
  const { brotliCompressSync, constants, gzipSync } = require('node:zlib') as typeof zlib;

  let html = renderGraphiQL(options);
  const put = (mark: string, text: string): void => {
    if (!html.includes(mark)) throw new Error(`The bundled GraphiQL has changed: no ${mark} in it.`);
    html = html.replace(mark, () => text);
  };
  for (const [mark, expression] of Object.entries(expressions)) put(JSON.stringify(mark), expression);
  put('</head>', `${head}</head>`);

  const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('base64');
  const scripts: string[] = [];
  for (let start = html.indexOf('<script>'); start !== -1; start = html.indexOf('<script>', start)) {
    const end = html.indexOf('</script>', start);
    scripts.push(sha256(html.slice(start + '<script>'.length, end)));
    start = end;
  }

  const bytes = Buffer.from(html);
  // A buffer of its own each, not a slice of a pool: it changes hands whole.
  const whole = (buffer: Buffer): Uint8Array => new Uint8Array(buffer);
  return {
    // Quality 5: a fifth of a second. 11 would save another eighth and take half a minute.
    brotli: whole(
      brotliCompressSync(bytes, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 5,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      }),
    ),
    gzip: whole(gzipSync(bytes)),
    hash: sha256(bytes).slice(0, 22),
    scripts,
  };
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32"><path fill="#0b7a75" d="M4 5h18a3 3 0 0 1 3 3v9a3 3 0 0 1-3 3H12l-6 5v-5H4a3 3 0 0 1-3-3V8a3 3 0 0 1 3-3z"/><path fill="#f2a541" d="M27 12a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3v4l-5-4h-7l4-3h5a3 3 0 0 0 3-3z"/></svg>`;
