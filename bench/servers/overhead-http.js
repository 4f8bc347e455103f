// node:http alone, which knows the two answers.
import { createServer } from 'node:http';
import { answerJson, LIST, listen, readJson } from './common.js';

listen(
  createServer(async (request, response) => {
    const { query } = await readJson(request);
    answerJson(response, {
      data: query === '{ __typename }' ? { __typename: 'Query' } : { messages: LIST },
    });
  }),
);
