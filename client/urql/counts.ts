import { gql } from '@urql/core';
import type { Cache } from '@urql/exchange-graphcache';
import { keysIn, type Page } from './pages.js';

/** Nodes beyond those of a page of which events told, and whether they are counted in its `totalCount`. */
export const COUNTED = 'parleyCounted';
export const UNCOUNTED = 'parleyUncounted';

export const isMarked = (cache: Cache, { key }: Page, field: string, node: string): boolean =>
  keysIn(cache.resolve(key, field)).includes(node);

/** A node is counted or is not. */
export function mark(cache: Cache, { key }: Page, field: string, node: string): void {
  for (const one of [COUNTED, UNCOUNTED]) {
    const others = keysIn(cache.resolve(key, one)).filter((other) => other !== node);
    cache.link(key, one, one === field ? [...others, node] : others);
  }
}

/** Adds to a page's `totalCount`. What has no key can only be written by way of its parent. */
export function count(
  cache: Cache,
  parent: string,
  fieldName: string,
  { key, args }: Page,
  by: number,
): void {
  const totalCount = cache.resolve(key, 'totalCount');
  if (typeof totalCount !== 'number') return;
  const list = { __typename: cache.resolve(key, '__typename') as string, totalCount: totalCount + by };
  const names = Object.keys(args);
  const given = names.length === 0 ? '' : `(${names.map((name) => `${name}: $${name}`).join(', ')})`;
  const field = `${fieldName}${given} { __typename totalCount }`;
  if (parent === 'Query') {
    // Graphcache looks at the names of variables, and not at their types.
    const declared = names.length === 0 ? '' : `(${names.map((name) => `$${name}: ID`).join(', ')})`;
    const query = gql(`query Count${declared} { ${field} }`);
    cache.updateQuery({ query, variables: args }, () => ({ __typename: 'Query', [fieldName]: list }));
  } else {
    const id = parent.slice('Room:'.length);
    cache.writeFragment(gql(`fragment Count on Room { id ${field} }`), { id, [fieldName]: list }, args);
  }
}
