import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UnderWay, type Placed } from './under-way.js';

test('Under way is what was added and not taken out, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (steps) => {
      const underWay = new UnderWay<Placed & { readonly n: number }>();
      const open = new Map<number, Placed & { readonly n: number }>();
      for (const n of steps) {
        const known = open.get(n);
        if (known === undefined) {
          const added = { n, place: 0 };
          open.set(n, added);
          underWay.add(added);
        } else {
          open.delete(n);
          underWay.delete(known);
        }
      }
      expect([...underWay].map((item) => item.n).sort()).toEqual([...open.keys()].sort());
    }),
  );
});
