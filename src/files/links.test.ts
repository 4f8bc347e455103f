import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { newId } from '../db/ids.js';
import { FileLinks } from './links.js';

const links = new FileLinks('a secret of at least 32 characters', () => 'https://chat.example.com/base');
const file = { id: newId(), name: 'a b (1)~\'ü".png' };
const target = (url: string): string => url.slice('https://chat.example.com/base'.length);

afterEach(() => {
  vi.useRealTimers();
});

describe('a signed link', () => {
  it('is built on the public address, and names its file', () => {
    const url = links.url(file, 900);
    expect(url.startsWith(`https://chat.example.com/base/files/${file.id}/`)).toBe(true);
    expect(new URL(url).href).toBe(url);
    expect(links.verify(target(url))).toMatchObject({ kind: 'good', fileId: file.id, download: false });
    expect(links.verify(`${target(url)}&download=1`)).toMatchObject({ kind: 'good', download: true });
  });

  it('names what was made of its file, which nothing can alter', () => {
    const url = target(links.url(file, 900, '320x240-cover-auto'));
    expect(links.verify(url)).toMatchObject({ kind: 'good', fileId: file.id, variant: '320x240-cover-auto' });
    expect(links.verify(target(links.url(file, 900)))).toMatchObject({ variant: undefined });
    for (let at = 0; at < url.length; at += 1) {
      const altered = url.slice(0, at) + (url[at] === 'a' ? 'b' : 'a') + url.slice(at + 1);
      expect([altered, links.verify(altered).kind]).toEqual([altered, 'bad']);
    }
    for (const altered of [
      url.replace('variant=320x240-cover-auto&', ''),
      url.replace('?', '?variant=poster&'),
    ])
      expect(links.verify(altered).kind).toBe('bad');
  });

  it('works for as many seconds as asked', () => {
    vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00.500Z') });
    const url = target(links.url(file, 10));
    vi.setSystemTime(new Date('2026-01-01T00:00:09.900Z'));
    expect(links.verify(url).kind).toBe('good');
    vi.setSystemTime(new Date('2026-01-01T00:00:10.001Z'));
    expect(links.verify(url).kind).toBe('expired');
  });

  it('is the same for a quarter of its life, and works for as long as asked or up to a quarter longer', () => {
    const begin = Date.parse('2026-01-01T00:00:00Z');
    for (const seconds of [60, 900, 86_400]) {
      const stretch = Math.floor(seconds / 4);
      const seen = new Map<string, number>();
      vi.useFakeTimers();
      for (let at = 0; at < 3 * stretch; at += stretch / 15) {
        vi.setSystemTime(begin + at * 1000);
        const url = links.url(file, seconds);
        seen.set(url, (seen.get(url) ?? 0) + 1);
        const check = links.verify(target(url));
        const left = check.kind === 'good' ? check.secondsLeft : 0;
        expect([left > seconds, left <= seconds + stretch]).toEqual([true, true]);
        vi.setSystemTime(begin + (at + seconds) * 1000);
        expect(links.verify(target(url)).kind).toBe('good');
      }
      // Three stretches meet four links at most, one of each beat.
      expect(seen.size).toBeLessThanOrEqual(4);
      expect(Math.max(...seen.values())).toBeGreaterThanOrEqual(14);
    }
  });

  it('changes at another moment for each file', () => {
    vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') });
    const ends = Array.from({ length: 50 }, (_, i) => {
      const id = `00000000-0000-7000-8000-0000${(i * 2654435761).toString(16).slice(-8).padStart(8, '0')}`;
      return /expires=(\d+)/.exec(links.url({ id, name: 'a' }, 900))?.[1];
    });
    expect(new Set(ends).size).toBeGreaterThan(20);
  });

  it('fails when any character is altered, left out or added', () => {
    const url = target(links.url(file, 900));
    fc.assert(
      fc.property(
        fc.nat(url.length - 1),
        fc.integer({ min: 33, max: 126 }),
        fc.constantFrom('alter', 'drop', 'add'),
        (at, code, how) => {
          const character = String.fromCharCode(code);
          const altered =
            how === 'alter'
              ? url.slice(0, at) + character + url.slice(at + 1)
              : how === 'drop'
                ? url.slice(0, at) + url.slice(at + 1)
                : url.slice(0, at) + character + url.slice(at);
          expect(links.verify(altered).kind === 'good').toBe(altered === url);
        },
      ),
      { numRuns: 3000 },
    );
    expect(links.verify(url.replace('%20', '+')).kind).toBe('bad');
    expect(links.verify(`${url}&x=1`).kind).toBe('bad');
    expect(links.verify(`${url}#x`).kind).toBe('bad');
  });

  it('fails under another secret, and with a signature that decodes to the same bytes', () => {
    const url = target(links.url(file, 900));
    expect(new FileLinks('another secret of 32 characters..', () => '').verify(url).kind).toBe('bad');
    const last = url.at(-1) ?? '';
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = alphabet[alphabet.indexOf(last) ^ 1] ?? '';
    expect(Buffer.from(last.padStart(43, 'A'), 'base64url')).toEqual(
      Buffer.from(twin.padStart(43, 'A'), 'base64url'),
    );
    expect(links.verify(url.slice(0, -1) + twin).kind).toBe('bad');
  });

  it('is asked for in no other form', () => {
    for (const text of [
      '/files/',
      '/files/x',
      `/files/${file.id}`,
      `/files/${file.id}/x?expires=1&signature=`,
      '',
    ]) {
      expect(links.verify(text).kind).toBe('bad');
    }
  });
});
