import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ask } from '../load/parley.js';
import { ROOT, serverModule } from './paths.js';
import { parleyUpload } from './transfer-peer.js';

/** sharp behind node:http, in the version that Parley has. It decodes as many at once as Parley does, in threads instead of processes. */
export const sharpImages = {
  versions: () => ({
    sharp: JSON.parse(readFileSync(join(ROOT, 'node_modules/sharp/package.json'), 'utf8')).version,
  }),
  start: (bench, _folder, pictures) =>
    bench.startServer([serverModule('images-sharp.js')], { PICTURES: pictures, UV_THREADPOOL_SIZE: '2' }),
  paths: (_server, _pictures, names, { width, height, fit }) =>
    names.map((name) => `/${name}?width=${width}&height=${height}&fit=${fit}`),
};

const LINK = `query ($id: ID!, $width: Int!, $height: Int!, $fit: ImageFit!) {
  node(id: $id) {
    ... on File { image { url(width: $width, height: $height, fit: $fit, format: WEBP, expiresIn: 86400) } }
  }
}`;

/** Parley, by the signed links of pictures that were uploaded to it. What it has made it keeps. */
export const parleyImages = {
  keeps: true,
  start: (bench, folder) => parleyUpload.start(bench, folder),
  async paths(server, pictures, names, { width, height, fit }) {
    // Only here: the processes of the load, which know the peers as well, read no TypeScript.
    const { eventually } = await import('../../test/support/deadline.ts');
    const ids = [];
    for (const name of names) ids.push(await upload(server, await readFile(join(pictures, name))));
    const paths = [];
    for (const id of ids) {
      // A job looks at each: once it has a link, nothing more is done with it by itself.
      const url = await eventually(60_000, 'a picture is known', async () => {
        const data = await ask(server.user, LINK, { id, width, height, fit: fit.toUpperCase() });
        return data.node.image?.url;
      });
      const { pathname, search } = new URL(url);
      paths.push(pathname + search);
    }
    return paths;
  },
};

/** The id of the file that it has become. */
async function upload(server, bytes) {
  const { method, path, headers, before, after } = parleyUpload.request(server);
  const body = Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]);
  const response = await fetch(server.url + path, { method, headers, body });
  const { data, errors } = await response.json();
  if (errors !== undefined) throw new Error(JSON.stringify(errors));
  return data.uploadFile.file.id;
}
