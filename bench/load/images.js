// Asks for each of `paths` over so many `connections`, `rounds` times, and prints how many were answered a second and how long an answer took. Each must be
// a WebP of the size `shown`, and the first be what sharp makes of the file `source` by `variant`, byte for byte.
import { Agent, get } from 'node:http';
import sharp from 'sharp';
import { quantile } from '../lib/statistics.js';
import { makeVariant } from '../lib/variant.js';

const { url, paths, connections, rounds, source, variant, shown } = JSON.parse(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const waits = [];
const pictures = [];
let asked = 0;

const start = performance.now();
await Promise.all(Array.from({ length: connections }, askOn));
const seconds = (performance.now() - start) / 1000;
agent.destroy();
await check();
console.log(
  JSON.stringify({ rate: waits.length / seconds, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) }),
);

async function askOn() {
  while (asked < paths.length * rounds) {
    const index = asked++ % paths.length;
    const sent = performance.now();
    pictures[index] = await fetchOne(paths[index]);
    waits.push(performance.now() - sent);
  }
}

function fetchOne(path) {
  return new Promise((resolve, reject) => {
    const request = get(url + path, { agent }, (response) => {
      const { statusCode, headers } = response;
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const body = Buffer.concat(chunks);
        if (statusCode === 200 && headers['content-type'] === 'image/webp') resolve(body);
        else reject(new Error(`${statusCode} ${headers['content-type']}: ${body.subarray(0, 300)}`));
      });
    });
    request.once('error', reject);
  });
}

async function check() {
  for (const picture of pictures) {
    const { format, width, height } = await sharp(picture).metadata();
    if (format !== 'webp' || width !== shown.width || height !== shown.height)
      throw new Error(`a ${format} of ${width} by ${height} pixels is not what was asked for`);
  }
  if (!pictures[0].equals(await makeVariant(source, variant)))
    throw new Error('what was made is not what sharp makes of the same picture');
}
