import { graphqlFanout } from '../lib/graphql-peer.js';
import { plainOverhead } from '../lib/overhead-peer.js';

export default {
  title: 'Apollo Server, graphql-ws',
  packages: ['@apollo/server', 'graphql-ws'],
  fanout: graphqlFanout('fanout-apollo.js'),
  overhead: plainOverhead('fanout-apollo.js'),
};
