import { getIntrospectionQuery, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { limits } from './limits.js';
import { mergeCost } from './merge-cost.js';

const costOf = (text: string): number => mergeCost(parse(text), limits.mergeCost);

describe('what it costs to merge fields', () => {
  it('is next to nothing for what clients ask', () => {
    expect(costOf('{ viewer { user { id name } } }')).toBe(4);
    expect(costOf(getIntrospectionQuery({ descriptions: true, oneOf: true }))).toBeLessThan(500);
    const components = Array.from(
      { length: 100 },
      (_, i) => `fragment F${i} on Room { id name slug topic createdAt members { totalCount } }`,
    );
    const page = `{ room(id: "x") { ${components.map((_, i) => `...F${i}`).join(' ')} } } ${components.join(' ')}`;
    // Each pair of the same field in two components is compared.
    expect(costOf(page)).toBeGreaterThan(20_000);
    expect(costOf(page)).toBeLessThan(limits.mergeCost);
  });

  it('grows with the pairs of fields of one name', () => {
    expect(costOf(`{ ${'__typename '.repeat(10)} }`)).toBe(10 + 45);
    expect(costOf(`{ ${'viewer { user { id } } '.repeat(400)} }`)).toBe(Infinity);
  });

  it('grows with fragments within fragments, however they hang together', () => {
    const chain = Array.from(
      { length: 300 },
      (_, i) => `fragment F${i} on Query { ...F${i + 1} viewer { user { id } } }`,
    );
    expect(costOf(`{ ...F0 } ${chain.join(' ')} fragment F300 on Query { __typename }`)).toBe(Infinity);
    expect(costOf('{ ...A } fragment A on Query { ...B ...A } fragment B on Query { ...A }')).toBeLessThan(
      100,
    );
  });

  it('is counted in time that grows with its limit alone', () => {
    const text = `{ ${'...F '.repeat(500)} } ${Array.from({ length: 500 }, (_, i) => `fragment F${i || ''} on Query { ${'...F '.repeat(3)} ...F${i + 1} }`).join(' ')}`;
    const document = parse(text);
    const begun = performance.now();
    mergeCost(document, limits.mergeCost);
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});
