import { once } from 'node:events';
import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contentOf } from '../load/content.js';
import { parleyUpload } from './transfer-peer.js';

/** nginx with one process, which hands files from the kernel's memory to the socket. */
export const nginxDownload = {
  async start(bench, folder, mib) {
    // Only here: the processes of the load, which know the peers as well, read no TypeScript.
    const { findBinary } = await import('../../test/support/services/binaries.ts');
    const { SBIN } = await import('../../test/support/services/nginx.ts');
    const program = findBinary('nginx', SBIN);
    if (program === undefined) throw new Error('nginx is not on this machine');
    await writeContent(join(folder, 'file'), mib);
    const server = await bench.startServer(
      (port) => {
        const file = join(folder, 'nginx.conf');
        writeFileSync(file, nginxConfig(folder, port));
        return ['-p', folder, '-e', join(folder, 'error.log'), '-c', file];
      },
      {},
      { program },
    );
    return { ...server, path: '/file' };
  },
};

const nginxConfig = (folder, port) => `
  daemon off;
  master_process off;
  pid ${folder}/nginx.pid;
  events {}
  http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    server {
      listen 127.0.0.1:${port};
      root ${folder};
    }
  }`;

async function writeContent(path, mib) {
  const file = createWriteStream(path);
  for (let number = 0; number < mib; number++) {
    for (const bytes of contentOf(number, 0)) if (!file.write(bytes)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
}

/** Parley, by the signed link of a file that was uploaded to it. */
export const parleyDownload = {
  async start(bench, folder, mib) {
    const server = await parleyUpload.start(bench, folder);
    const { answers } = await bench.load('upload.js', {
      url: server.url,
      requests: [parleyUpload.request(server)],
      mib,
    });
    const { data } = JSON.parse(answers[0].slice(answers[0].indexOf('{')));
    const { pathname, search } = new URL(data.uploadFile.file.url);
    return { ...server, path: pathname + search };
  },
};
