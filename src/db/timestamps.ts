import pg from 'pg';

const DAY_MS = 86_400_000;

/** The last days that were read and written: rows that stand together mostly are of one day, and the rest of a timestamp is a sum. */
let read = { text: '', ms: 0 };
let written = { day: NaN, text: '' };

/** The driver's own: it understands all calendars and offsets. What has no place among dates, as `infinity`, is a number. */
const usual = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ) as (text: string) => Date;

/**
 * Reads a timestamp as Postgres writes it for a session in UTC, such as `2026-01-31 12:00:00.123+00`, in a tenth of the time that the driver
 * takes: a page has fifty. All other text is for that one.
 */
export function timestampOf(text: string): Date {
  const end = text.length - 3;
  // The fraction ends with its last digit that is not zero.
  const whole = end === 19 || (end > 20 && end <= 23 && text[19] === '.');
  if (!whole || text[4] !== '-' || !text.endsWith('+00')) return usual(text);
  if (read.text === '' || !text.startsWith(read.text)) {
    // Years before 100 are others to Date.UTC.
    const year = two(text, 0) * 100 + two(text, 2);
    if (year < 1000) return usual(text);
    read = { text: text.slice(0, 10), ms: Date.UTC(year, two(text, 5) - 1, two(text, 8)) };
  }
  let ms = 0;
  for (let i = 20; i < 23; i++) ms = ms * 10 + (i < end ? digit(text, i) : 0);
  const minutes = two(text, 11) * 60 + two(text, 14);
  return new Date(read.ms + (minutes * 60 + two(text, 17)) * 1000 + ms);
}

const digit = (text: string, at: number): number => text.charCodeAt(at) - 48;
const two = (text: string, at: number): number => digit(text, at) * 10 + digit(text, at + 1);

/** What `toISOString` answers, or throws, in less than half the time. */
export function isoOf(date: Date): string {
  const time = date.getTime();
  const day = Math.floor(time / DAY_MS);
  if (day !== written.day) written = { day, text: date.toISOString().slice(0, -13) };
  const inDay = time - day * DAY_MS;
  const ms = inDay % 1000;
  const second = Math.floor(inDay / 1000);
  const minute = Math.floor(second / 60);
  const [h, m, s] = [Math.floor(minute / 60), minute % 60, second % 60];
  // At once: each part that is put together with the others would be an object of its own.
  // prettier-ignore
  return written.text + String.fromCharCode(
    tens(h), ones(h), COLON, tens(m), ones(m), COLON, tens(s), ones(s), POINT, ZERO + Math.floor(ms / 100), tens(ms % 100), ones(ms), Z,
  );
}

const [ZERO, COLON, POINT, Z] = [48, 58, 46, 90];
/** The codes of a number's digits. */
const tens = (number: number): number => ZERO + Math.floor(number / 10);
const ones = (number: number): number => ZERO + (number % 10);
