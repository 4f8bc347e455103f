import { graphqlFanout } from '../lib/graphql-peer.js';
import { plainOverhead } from '../lib/overhead-peer.js';
import { apolloUpload } from '../lib/transfer-peer.js';

export default {
  title: 'Apollo Server, graphql-ws',
  packages: ['@apollo/server', 'graphql-upload', 'graphql-ws'],
  fanout: graphqlFanout('fanout-apollo.js'),
  upload: { title: 'Apollo Server, graphql-upload', ...apolloUpload },
  overhead: plainOverhead('fanout-apollo.js'),
};
