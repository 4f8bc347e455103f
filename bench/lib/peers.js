import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from './options.js';
import { parleyAt } from './parley-at.js';
import { HERE } from './paths.js';

/** Installs the peers that bench/package.json names, in the versions of its lock, unless they are there. */
export function installPeers() {
  const wanted = join(HERE, 'package-lock.json');
  const there = join(HERE, 'node_modules', '.package-lock.json');
  if (existsSync(there) && statSync(there).mtimeMs > statSync(wanted).mtimeMs) return;
  console.error('installing the peers into bench/node_modules');
  // Their engines ask for a newer Node than the one they run on here, which npm would say of each.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', args, { cwd: HERE, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** The versions that the packages of these peers are pinned to, by name, and of what else they say that they run on. */
export function versionsOf(peers) {
  const pinned = JSON.parse(readFileSync(join(HERE, 'package.json'), 'utf8')).dependencies;
  const names = new Set(peers.flatMap(({ packages = [] }) => packages));
  const packages = Object.fromEntries([...names].sort().map((name) => [name, pinned[name]]));
  return Object.assign(packages, ...peers.map(({ part }) => part.versions?.()));
}

/**
 * The peers that take part in a section, all or those in `peers` (a,b), and the checkout at `before`: each with its `name`, `title`,
 * whether it is the `limit`, and what it does in the section as `part`.
 */
export async function peersOf(section, { peers: names, before }) {
  const known = readdirSync(join(HERE, 'peers')).map((file) => file.replace('.js', ''));
  const chosen = names?.split(',') ?? known;
  for (const name of chosen) {
    if (!known.includes(name)) throw new UsageError(`no peer ${name}; there are ${known.join(', ')}`);
  }
  const peers = await Promise.all(chosen.map(async (name) => ({ name, ...(await loadPeer(name)) })));
  for (const peer of peers) {
    if (names !== undefined && peer[section] === undefined) {
      throw new UsageError(`${peer.name} takes no part in this`);
    }
  }
  if (before !== undefined)
    peers.push({
      name: 'parley-before',
      title: 'Parley before',
      // The load finds it by the module that it would be a peer by.
      module: 'parley',
      ...parleyAt(resolve(before)),
    });
  return peers
    .filter((peer) => peer[section] !== undefined)
    .map((peer) => ({ ...peer, title: peer[section].title ?? peer.title, part: peer[section] }))
    .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

/** One peer, as its module in bench/peers describes it. */
export async function loadPeer(name) {
  return (await import(`../peers/${name}.js`)).default;
}

/** The limit comes first and Parley last; the others stand between them as they are sorted. */
const rank = ({ name, limit }) => (limit ? 0 : name.startsWith('parley') ? 2 : 1);
