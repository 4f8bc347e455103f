import { bareFanout } from '../lib/bare-peer.js';

export default {
  title: 'ws, fed by Redis',
  packages: ['ws', 'ioredis'],
  fanout: bareFanout({ redis: true }),
};
