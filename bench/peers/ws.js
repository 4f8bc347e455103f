import { bareFanout } from '../lib/bare-peer.js';

export default {
  title: 'ws, one text for all',
  packages: ['ws'],
  limit: true,
  fanout: bareFanout({}),
};
