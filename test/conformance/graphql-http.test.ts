import { auditServer, type AuditResult } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { ways, WAYS } from '../support/ways.js';

/** https://graphql.github.io/graphql-over-http/, as the audit suite of graphql-http reads it. */
describe.each(ways)('GraphQL over HTTP, the %s way in', (way) => {
  let app: App;
  let results: AuditResult[];

  beforeAll(async () => {
    app = await startParley();
    results = await auditServer({
      url: `${app.url}/graphql`,
      // GET is only taken from those who could set a header.
      fetchFn: (url: string, init: RequestInit = {}) => {
        const headers = new Headers(init.headers);
        headers.set('x-graphql-yoga-csrf', '1');
        const type = headers.get('content-type');
        if (type !== null) headers.set('content-type', type.replace(/^application\/json/, WAYS[way]));
        return fetch(url, { ...init, headers });
      },
    });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const failed = (level: string): string[] =>
    results.flatMap((result) =>
      result.name.startsWith(level) && result.status !== 'ok' ? `${result.name}: ${result.reason}` : [],
    );

  test('is spoken by every MUST of the audit', () => {
    expect(results.filter(({ name }) => name.startsWith('MUST')).length).toBeGreaterThan(10);
    expect(failed('MUST')).toEqual([]);
  });

  test('is spoken by every SHOULD and MAY of the audit', () => {
    expect(failed('SHOULD')).toEqual([]);
    expect(failed('MAY')).toEqual([]);
  });
});
