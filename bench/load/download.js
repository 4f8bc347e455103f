// Fetches each of `requests` (`path`, `headers`, `bytes` of the answer's body), all at once, `rounds` times, and throws the bytes away.
import { connect } from 'node:net';

/** Bytes that are taken from a socket at a time, into the same memory. */
const TAKEN = 1024 * 1024;

const { url, requests, rounds } = JSON.parse(process.argv[2]);
const start = performance.now();
for (let round = 0; round < rounds; round++) await Promise.all(requests.map(fetchAway));
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 }));

function fetchAway({ path, headers, bytes }) {
  const { hostname, host, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let head = '';
    let left = bytes;
    const take = (length, buffer) => {
      if (left === bytes && !head.endsWith('\r\n\r\n')) {
        head += buffer.latin1Slice(0, length);
        const end = head.indexOf('\r\n\r\n') + 4;
        if (end < 4) return true;
        if (!/^HTTP\/1\.1 20[06]/.test(head)) return socket.destroy(new Error(head.slice(0, 300)));
        length = head.length - end;
        head = head.slice(0, end);
      }
      left -= length;
      if (left <= 0) socket.destroy();
      return true;
    };
    const socket = connect({
      host: hostname,
      port: Number(port),
      onread: { buffer: Buffer.allocUnsafeSlow(TAKEN), callback: take },
    });
    socket.once('error', reject);
    socket.once('close', () =>
      left === 0 ? resolve() : reject(new Error(`the answer has ${bytes - left} bytes and not ${bytes}`)),
    );
    const fields = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${path} HTTP/1.1\r\n${fields.join('')}\r\n`);
  });
}
