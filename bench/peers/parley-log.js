import { parleyFanout, startParley } from '../lib/parley-peer.js';

/**
 * Delivery by itself: another process on the same database posts, on the load's core. Without Redis the measured one finds all of it
 * in the log at once, at its next look.
 */
export default {
  title: 'Parley, from its log',
  fanout: parleyFanout({
    fromLog: true,
    gentle: false,
    inFlight: 16,
    start: async (bench) => {
      const server = await startParley(bench);
      const poster = await startParley(bench, { database: server.database, cpus: bench.options.loadCpu });
      return {
        ...server,
        postUrl: poster.url,
        stop: async () => {
          await poster.stop();
          await server.stop();
        },
      };
    },
  }),
};
