/** What can be under way: `place` is for UnderWay alone. */
export interface Placed {
  place: number;
}

/**
 * What is under way, in no order. A Set would do, but where entries come and go fast it leaves one table after the other behind, each of
 * which holds the next: once the first is old, the collector of garbage takes all of them, with the requests in them, for alive until its
 * next full run. With ten connections that was a fifth of a small request.
 */
export class UnderWay<Item extends Placed> implements Iterable<Item> {
  private readonly items: Item[] = [];

  add(item: Item): void {
    item.place = this.items.push(item) - 1;
  }

  /** Takes out one that was added. */
  delete(item: Item): void {
    const last = this.items.pop();
    if (last === undefined || last === item) return;
    this.items[item.place] = last;
    last.place = item.place;
  }

  [Symbol.iterator](): Iterator<Item> {
    return this.items[Symbol.iterator]();
  }
}
