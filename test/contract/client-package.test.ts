import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** What a front end installs beside the package. */
const LIBRARIES = [
  '@apollo/client',
  '@graphql-codegen/cli',
  '@graphql-codegen/client-preset',
  '@graphql-typed-document-node/core',
  '@urql/core',
  '@urql/exchange-graphcache',
  'apollo-upload-client',
  'graphql',
  'graphql-ws',
  'rxjs',
  'ws',
];

const FRONT_END = `
import { ApolloClient, ApolloLink, InMemoryCache } from '@apollo/client';
import { Client } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { createSocket, fragments, inMemory, Session, type Gap, type LiveClient } from 'parley/client';
import { applyEvent, liveLink, typePolicies } from 'parley/client/apollo';
import { keys, liveExchange, logger, resolvers, updates } from 'parley/client/urql';

const url = 'http://localhost:4000/graphql';
const session = new Session(url, inMemory());
// Node before 22 has no WebSocket.
const { default: webSocketImpl } = await import('ws' as string);
const socket: LiveClient = createSocket(url, session, { webSocketImpl });
const { possibleTypes } = fragments;
const link: ApolloLink = liveLink(socket);
const apollo = new ApolloClient({ link, cache: new InMemoryCache({ possibleTypes, typePolicies }) });
const urql = new Client({
  url,
  preferGetMethod: false,
  exchanges: [cacheExchange({ keys, resolvers, updates, logger, possibleTypes }), liveExchange(socket)],
});
const stop = socket.subscribe<{ n: number }>(
  { query: 'subscription ($after: String) { roomEvents(after: $after) { cursor } }' },
  {
    next: ({ data }) => data?.n.toFixed(),
    gap: ({ eventCursor }: Gap) => eventCursor?.length,
    error: () => undefined,
    complete: () => undefined,
  },
);
stop();
await socket.dispose();
console.log([typeof applyEvent, typeof apollo.query, typeof urql.query].join());
`;

/** The package as npm makes it, in the folder of a front end that knows nothing of this repository. */
describe('The package of the client', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-front-end-'));
    const modules = join(folder, 'node_modules');
    await mkdir(join(modules, 'parley'), { recursive: true });
    // As the tests found it built.
    const { stdout } = await run(
      'npm',
      ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder],
      {
        cwd: root,
      },
    );
    await run('tar', [
      '-xzf',
      join(folder, stdout.trim()),
      '-C',
      join(modules, 'parley'),
      '--strip-components=1',
    ]);
    for (const name of LIBRARIES) {
      await mkdir(join(modules, name, '..'), { recursive: true });
      await symlink(join(root, 'node_modules', name), join(modules, name));
    }
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
    await writeFile(join(folder, 'main.ts'), FRONT_END);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each([
    { moduleResolution: 'nodenext', module: 'nodenext' },
    { moduleResolution: 'bundler', module: 'esnext' },
  ])(
    'has types for a strict front end with moduleResolution $moduleResolution, and runs',
    async (resolution) => {
      const compilerOptions = {
        ...resolution,
        target: 'es2022',
        lib: ['es2022', 'dom', 'dom.iterable'],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: true,
        rootDir: '.',
        outDir: resolution.module,
      };
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ compilerOptions, include: ['main.ts'] }),
      );
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      expect(await run(process.execPath, [tsc, '-p', folder], { cwd: folder })).toMatchObject({ stdout: '' });
      const { stdout } = await run(process.execPath, [join(folder, resolution.module, 'main.js')], {
        cwd: folder,
      });
      expect(stdout.trim()).toBe('function,function,function');
    },
  );

  test('has the operations and the schema from which a strict front end has the recipes typed', async () => {
    const parley = join(folder, 'node_modules/parley');
    const source = join(folder, 'src');
    await mkdir(join(source, 'chat'), { recursive: true });
    await cp(join(parley, 'test/contract/operations/room.graphql'), join(source, 'room.graphql'));
    for (const name of ['apollo.ts', 'urql.ts', 'apollo-upload-client.d.ts'])
      await cp(join(parley, 'test/contract/recipes', name), join(source, 'chat', name));
    await cp(join(parley, 'test/contract/recipes/codegen.ts'), join(folder, 'codegen.ts'));
    const codegen = join(root, 'node_modules/.bin/graphql-codegen');
    await run(process.execPath, [codegen, '--errors-only'], { cwd: folder });
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2022',
      lib: ['es2022', 'dom', 'dom.iterable'],
      types: [],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: true,
      noEmit: true,
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    expect(await run(process.execPath, [tsc, '-p', folder], { cwd: folder })).toMatchObject({ stdout: '' });
  });
});
