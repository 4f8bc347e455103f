import { spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HERE } from './paths.js';

/** It costs its core far less than autocannon does, which stands in for it where it is not installed. */
const hasWrk = spawnSync('wrk', ['--version']).error === undefined;

/**
 * Sends one request (`method`, `path`, `headers`, `body`) again and again over `connections`, from the load's core. Answers the `rate` of
 * answers a second, their `p50` and `p99` in milliseconds, and which `tool` asked. Throws when one failed.
 */
export async function httpLoad(bench, url, request, { connections, seconds }) {
  const { errors, ...measured } = await (hasWrk ? wrk : autocannon)(bench, url, request, {
    connections,
    seconds,
  });
  if (errors > 0) throw new Error(`${errors} requests failed`);
  return measured;
}

async function wrk(bench, url, { method, path, headers, body }, { connections, seconds }) {
  const { directory } = await bench.sandbox();
  const script = join(directory, 'request.lua');
  // A JSON string is one of Lua too, as long as it is ASCII.
  const lua = JSON.stringify;
  const lines = [
    `wrk.method = ${lua(method)}`,
    ...(body === undefined ? [] : [`wrk.body = ${lua(body)}`]),
    ...Object.entries(headers).map(([name, value]) => `wrk.headers[${lua(name)}] = ${lua(value)}`),
    'done = function(s, latency, r)',
    '  local e = s.errors',
    '  local failed = e.status + e.read + e.write + e.connect + e.timeout',
    '  local rate = s.requests / s.duration * 1e6',
    `  io.write(string.format('{"rate":%f,"p50":%f,"p99":%f,"errors":%d}\\n', rate,`,
    '    latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))',
    'end',
  ];
  await writeFile(script, lines.join('\n'));
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '20s', '-s', script, url + path];
  const output = await bench.command('wrk', args, (seconds + 60) * 1000);
  await rm(script);
  return { ...JSON.parse(/^\{.*\}$/m.exec(output)[0]), tool: 'wrk' };
}

async function autocannon(bench, url, { method, path, headers, body }, { connections, seconds }) {
  const module = join(HERE, 'node_modules/autocannon/autocannon.js');
  const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}=${value}`]);
  const args = [
    '-j',
    '-c',
    connections,
    '-d',
    seconds,
    '-m',
    method,
    ...fields,
    ...(body === undefined ? [] : ['-b', body]),
  ];
  const output = await bench.command(
    process.execPath,
    [module, ...args.map(String), url + path],
    (seconds + 60) * 1000,
  );
  const { requests, latency, errors, non2xx, timeouts } = JSON.parse(output);
  return {
    rate: requests.average,
    p50: latency.p50,
    p99: latency.p99,
    errors: errors + non2xx + timeouts,
    tool: 'autocannon',
  };
}
