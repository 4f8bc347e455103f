import { graphqlFanout } from '../lib/graphql-peer.js';

export default {
  title: 'graphql-yoga, graphql-ws',
  packages: ['graphql-yoga', 'graphql-ws'],
  fanout: graphqlFanout('fanout-yoga.js'),
};
