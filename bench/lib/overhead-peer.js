import { join } from 'node:path';
import { signUp } from '../load/parley.js';
import { startParley } from './parley-peer.js';
import { ROOT, serverModule } from './paths.js';

/** What every peer is asked: the least there is, and fifty objects. */
const queries = {
  trivial: '{ __typename }',
  list: '{ messages { id body createdAt author { id name } } }',
};

/** A server of bench/servers, which knows no users. */
export const plainOverhead = (script) => ({
  start: async (bench) => ({ ...(await bench.startServer([serverModule(script)])), headers: {} }),
  queries,
});

/**
 * Parley with the peers' schema, as it is in the checkout at `root`, asked by a user who signed up at one with its own: tokens of one are
 * good for the next.
 */
export const parleyOverhead = (root = ROOT) => ({
  start: async (bench) => {
    const own = await startParley(bench, { root });
    const { token } = await signUp(own.url);
    await own.stop();
    const server = await startParley(bench, {
      root,
      program: ['--import', import.meta.resolve('tsx'), join(root, 'bench/servers/overhead-parley.js')],
    });
    return { ...server, headers: { authorization: `Bearer ${token}` } };
  },
  queries,
});
