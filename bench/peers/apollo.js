import { graphqlFanout } from '../lib/graphql-peer.js';

export default {
  title: 'Apollo Server, graphql-ws',
  packages: ['@apollo/server', 'graphql-ws'],
  fanout: graphqlFanout('fanout-apollo.js'),
};
