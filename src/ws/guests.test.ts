import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Guests, type Guest } from './guests.js';

class Visitor implements Guest {
  readonly giveWay = vi.fn();
  constructor(readonly address: string) {}
}

describe('Sockets that are not signed in', () => {
  let guests: Guests;
  beforeEach(() => {
    guests = new Guests({ limit: 10, signedOut: 3, perAddress: 2 });
  });
  const from = (address: string): Visitor => new Visitor(address);

  test('come as many from one address as it may have, however it is spelled', () => {
    const [one, two] = [from('192.0.2.7'), from('::ffff:192.0.2.7')];
    expect([one, two, from('192.0.2.7')].map((guest) => guests.enter(guest, 1))).toEqual([true, true, false]);
    expect(guests.enter(from('192.0.2.8'), 1)).toBe(true);
    guests.leave(one);
    guests.leave(one);
    expect([from('192.0.2.7'), from('192.0.2.7')].map((guest) => guests.enter(guest, 1))).toEqual([
      true,
      false,
    ]);
  });

  test('come as many from one network of IPv6 as from one address', () => {
    const seen = ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ffff::3', '2001:db8:0:1::1'].map((address) =>
      guests.enter(from(address), 1),
    );
    expect(seen).toEqual([true, true, false, true]);
  });

  test('stay as many as may, whatever their address, and make room as they leave', () => {
    const all = Array.from({ length: 4 }, (_, i) => from(`192.0.2.${i}`));
    for (const guest of all) guests.enter(guest, 1);
    expect(all.map((guest) => guests.stay(guest))).toEqual([true, true, true, false]);
    guests.leave(all[0]!);
    expect(guests.stay(all[3]!)).toBe(true);
    // Who has signed in is none of them.
    expect(guests.stay(all[0]!)).toBe(true);
  });

  test('give way to others when every place is taken: the oldest that has not said who it is, once it had time to', () => {
    vi.useFakeTimers();
    try {
      const [said, silent, young] = [from('192.0.2.1'), from('192.0.2.2'), from('192.0.2.3')];
      for (const guest of [said, silent]) guests.enter(guest, 1);
      guests.stay(said);
      vi.advanceTimersByTime(900);
      guests.enter(young, 1);
      expect(guests.enter(from('192.0.2.4'), 11)).toBe(false);
      vi.advanceTimersByTime(200);
      expect(guests.enter(from('192.0.2.4'), 10)).toBe(true);
      expect(silent.giveWay).not.toHaveBeenCalled();
      expect(guests.enter(from('192.0.2.5'), 11)).toBe(true);
      expect(silent.giveWay).toHaveBeenCalledOnce();
      // The next one has not had its time.
      expect(guests.enter(from('192.0.2.5'), 11)).toBe(false);
      expect([said, young].map(({ giveWay }) => giveWay.mock.calls.length)).toEqual([0, 0]);
    } finally {
      vi.useRealTimers();
    }
  });
});
