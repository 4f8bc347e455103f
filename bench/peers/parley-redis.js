import { parleyFanout, startParley } from '../lib/parley-peer.js';

export default {
  title: 'Parley, with Redis',
  fanout: parleyFanout({ start: (bench) => startParley(bench, { redis: true }) }),
};
