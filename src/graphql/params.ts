/** What a request may say (GraphQL over HTTP, section 4), by every way in. Nothing of it has been checked. */
const NAMES = ['query', 'documentId', 'operationName', 'variables', 'extensions'] as const;

export type GivenParams = Partial<Record<(typeof NAMES)[number], unknown>>;

/**
 * The parameters of a request as it gave them. Null stands for none, and so does the empty text, which clients in some languages always send;
 * but for a document, in which it is a mistake. What else a request says is not looked at.
 */
export function paramsIn(given: Readonly<Record<string, unknown>>): GivenParams {
  const params: GivenParams = {};
  for (const name of NAMES) {
    const value = given[name];
    if (value != null && (value !== '' || name === 'query')) params[name] = value;
  }
  return params;
}
