import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bodyOf } from '../load/bodies.js';
import { quantile } from './statistics.js';

const WARM_SECONDS = 2;
/** Begins the names of the files that transactions are logged to. */
const LOG = 'posts';

/**
 * What the database can do by itself: the same writers in the same rooms, and one statement that takes the number and writes message and
 * event. pgbench stands where the server would, on its core.
 */
export async function pgbenchPosts(bench, { database, writers }) {
  const { directory } = await bench.sandbox();
  const script = join(directory, 'post.sql');
  await writeFile(script, scriptFor(writers));
  const run = (seconds, ...more) => {
    const args = ['--no-vacuum', '--protocol=prepared', `--client=${writers.length}`, `--time=${seconds}`];
    const where = { cpus: bench.options.serverCpu, cwd: directory };
    return bench.command(
      'pgbench',
      [...args, `--file=${script}`, ...more, database],
      (seconds + 60) * 1000,
      where,
    );
  };
  const warm = await run(WARM_SECONDS);
  const output = await run(bench.options.seconds, '--log', `--log-prefix=${LOG}`);
  const waits = await takeWaits(directory);
  return {
    rate: Number(/^tps = ([\d.]+)/m.exec(output)[1]),
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
    all: posted(warm) + posted(output),
  };
}

/** Each client is one of the writers, for good. */
function scriptFor(writers) {
  const branches = writers.map(
    (writer, client) => `\\${client === 0 ? 'if' : 'elif'} :client_id = ${client}\n${statementOf(writer)};`,
  );
  return `${branches.join('\n')}\n\\endif\n`;
}

/** Ids that sort by time, as Parley makes them, so that the index grows at its end. */
const NEW_ID = `encode(overlay(uuid_send(gen_random_uuid()) placing
    substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 'hex')::uuid`;

const statementOf = ({ room, author }) => `with place as (
    update rooms set last_seq = last_seq + 1, last_tag = substr(md5(random()::text), 1, 11), message_count = message_count + 1
    where id = '${room}' returning id, last_seq, last_tag, clock_timestamp()::timestamptz(3) as at
  ), message as (
    insert into messages (id, room_id, seq, author_id, body, created_at)
    select ${NEW_ID}, id, last_seq, '${author}', '${bodyOf(1)}', at from place returning id
  )
  insert into room_events (room_id, seq, tag, kind, at, actor_id, message_id)
  select place.id, last_seq, last_tag, 'MESSAGE_ADDED', at, '${author}', message.id from place, message
  returning seq, tag, message_id`;

const posted = (output) => Number(/actually processed: (\d+)/.exec(output)[1]);

/** Milliseconds that each transaction took, which pgbench wrote beside us in microseconds. */
async function takeWaits(directory) {
  const names = (await readdir(directory)).filter((name) => name.startsWith(`${LOG}.`));
  const waits = [];
  for (const name of names) {
    const file = join(directory, name);
    for (const line of (await readFile(file, 'utf8')).trim().split('\n'))
      waits.push(line.split(' ')[2] / 1000);
    await rm(file);
  }
  return waits;
}
