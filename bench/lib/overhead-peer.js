import { serverModule } from './paths.js';

/** What every peer is asked: the least there is, and fifty objects. */
export const queries = {
  trivial: '{ __typename }',
  list: '{ messages { id body createdAt author { id name } } }',
};

/** A server of bench/servers. */
export const plainOverhead = (script) => ({
  start: (bench) => bench.startServer([serverModule(script)]),
  queries,
});
