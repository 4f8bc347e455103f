import { roomOf } from './graphql-peer.js';
import { serverModule } from './paths.js';

/** The fan-out of ws alone; with `redis` the texts reach it by a Redis channel for each room. */
export const bareFanout = ({ redis }) => ({
  start: async (bench) =>
    bench.startServer(
      ['--expose-gc', serverModule('fanout-ws.js')],
      redis ? { REDIS_URL: await bench.services.redisUrl() } : {},
    ),
  protocol: 'ws',
  path: (context, index) => `/?room=${roomOf(context, index)}`,
  publish: (context, number, body) => ({ path: '/', body: { roomId: roomOf(context, number), body } }),
});
