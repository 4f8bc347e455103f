import { graphqlFanout } from '../lib/graphql-peer.js';
import { plainOverhead } from '../lib/overhead-peer.js';

export default {
  title: 'graphql-yoga, graphql-ws',
  packages: ['graphql-yoga', 'graphql-ws'],
  fanout: graphqlFanout('fanout-yoga.js'),
  overhead: plainOverhead('fanout-yoga.js'),
};
