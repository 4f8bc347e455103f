// Sends files of `mib` MiB, one by each of `requests`, all at once. A file is made up while it is sent, so that all this costs is sending.
import { once } from 'node:events';
import { connect } from 'node:net';
import { contentOf } from './content.js';
import { parseAnswer } from './http.js';

const MIB = 1024 * 1024;
/** Bytes that wait for the socket at most: it must never have to wait for us. */
const AHEAD = 4 * MIB;

const { url, requests, mib } = JSON.parse(process.argv[2]);
const start = performance.now();
const answers = await Promise.all(requests.map(send));
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, answers }));

async function send({ method, path, headers, before = '', after = '' }, file) {
  const { hostname, host, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), writableHighWaterMark: AHEAD });
  const answered = readAnswer(socket);
  answered.catch(() => undefined);
  const length = mib * MIB + Buffer.byteLength(before) + Buffer.byteLength(after);
  const fields = Object.entries({ host, ...headers, 'content-length': length });
  socket.write(
    `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${before}`,
  );
  for (let number = 0; number < mib; number++) {
    socket.cork();
    for (const bytes of contentOf(number, file)) socket.write(bytes);
    socket.uncork();
    if (socket.writableNeedDrain) await Promise.race([once(socket, 'drain'), answered]);
  }
  socket.write(after);
  const answer = await answered;
  socket.destroy();
  return answer;
}

/** Rejects when the connection ends before it. */
async function readAnswer(socket) {
  let text = '';
  for await (const chunk of socket.setEncoding('latin1').iterator({ destroyOnReturn: false })) {
    text += chunk;
    const answer = parseAnswer(text);
    if (answer !== undefined) return `${answer.head.split('\r\n')[0]}\n${answer.body}`;
  }
  throw new Error(`the server closed the connection after ${JSON.stringify(text.slice(0, 300))}`);
}
