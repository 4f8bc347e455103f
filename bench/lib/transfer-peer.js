import { execFileSync } from 'node:child_process';
import { createRoom, signUp } from '../load/parley.js';
import { startParley } from './parley-peer.js';
import { HERE, serverModule } from './paths.js';

/** As long as browsers make them. */
const BOUNDARY = '----WebKitFormBoundary7d1a0c5e9b3fA2xQ';

/** A multipart/form-data request: `fields`, and then the file under the name `file`. */
function multipartRequest(path, headers, fields, file) {
  const part = (disposition, rest) =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n${rest}`;
  const texts = Object.entries(fields).map(([name, value]) =>
    part(`name="${name}"`, `\r\n${JSON.stringify(value)}\r\n`),
  );
  const begin = part(`name="${file}"; filename="archive.gz"`, 'Content-Type: application/gzip\r\n\r\n');
  return {
    method: 'POST',
    path,
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...headers },
    before: texts.join('') + begin,
    after: `\r\n--${BOUNDARY}--\r\n`,
  };
}

/** A request by the GraphQL multipart request spec, with the file at `place` of `variables`. */
const graphqlRequest = (headers, query, variables, place) =>
  multipartRequest(
    '/graphql',
    { 'apollo-require-preflight': 'true', ...headers },
    { operations: { query, variables }, map: { file: [place] } },
    'file',
  );

/** A server of bench/servers that puts what it gets into the `folder` of its environment. */
const startPlain = (script, env) => (bench, folder) =>
  bench.startServer([serverModule(script)], { UPLOAD_DIR: folder, ...env });

/** node:http, which takes the body for the file. */
export const pipeUpload = (env = {}) => ({
  start: startPlain('upload-pipe.js', env),
  request: () => ({ method: 'POST', path: '/', headers: {} }),
});

export const apolloUpload = {
  start: startPlain('upload-apollo.js'),
  request: () =>
    graphqlRequest(
      {},
      'mutation ($file: Upload!) { uploadFile(file: $file) }',
      { file: null },
      'variables.file',
    ),
};

/** Debian's, for its packages are not those of another Python. */
const PYTHON = '/usr/bin/python3';
const PACKAGES = { fastapi: 'fastapi', uvicorn: 'uvicorn', 'python-multipart': 'multipart' };

export const fastapiUpload = {
  missing() {
    try {
      fastapiVersions();
      return undefined;
    } catch {
      return `${PYTHON} has no fastapi, uvicorn or multipart: apt install python3-fastapi uvicorn python3-multipart python3-uvloop python3-httptools`;
    }
  },
  versions: fastapiVersions,
  start: (bench, folder) =>
    bench.startServer(
      (port) => [
        '-m',
        'uvicorn',
        `--port=${port}`,
        `--app-dir=${HERE}/servers`,
        '--no-access-log',
        'upload_fastapi:app',
      ],
      { UPLOAD_DIR: folder, PYTHONDONTWRITEBYTECODE: '1' },
      { program: PYTHON },
    ),
  request: () => multipartRequest('/upload', {}, {}, 'file'),
};

function fastapiVersions() {
  const code = `import ${Object.values(PACKAGES).join(', ')}; print(${Object.values(PACKAGES)
    .map((name) => `${name}.__version__`)
    .join(', ')})`;
  const found = execFileSync(PYTHON, ['-c', code], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .trim()
    .split(' ');
  return Object.fromEntries(Object.keys(PACKAGES).map((name, index) => [name, found[index]]));
}

const UPLOAD_FILE = `mutation ($input: UploadFileInput!) { uploadFile(input: $input) { file { id size sha256 url } } }`;

/** Parley as it is: a member uploads to a room, and the answer comes when the file is on the disk and shown. */
export const parleyUpload = {
  start: async (bench, folder) => {
    const server = await startParley(bench, { folder, env: { UPLOAD_MAX_BYTES: String(2 ** 40) } });
    const user = await signUp(server.url);
    return { ...server, user, roomId: await createRoom(user) };
  },
  request: ({ user, roomId }) =>
    graphqlRequest(
      { authorization: `Bearer ${user.token}` },
      UPLOAD_FILE,
      { input: { roomId, file: null } },
      'variables.input.file',
    ),
};
