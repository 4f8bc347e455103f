import { graphqlFanout } from '../lib/graphql-peer.js';

export default {
  title: 'Mercurius, compiled',
  packages: ['mercurius'],
  fanout: graphqlFanout('fanout-mercurius.js'),
};
