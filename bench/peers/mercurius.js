import { graphqlFanout } from '../lib/graphql-peer.js';
import { plainOverhead } from '../lib/overhead-peer.js';

export default {
  title: 'Mercurius, compiled',
  packages: ['mercurius'],
  fanout: graphqlFanout('fanout-mercurius.js'),
  overhead: plainOverhead('fanout-mercurius.js'),
};
