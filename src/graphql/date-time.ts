/** RFC 3339, section 5.6: date, T, time, offset. */
const RFC_3339 =
  /^(\d{4}-\d\d-\d\d)T((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(?:\.(\d+))?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Days at whose end, in UTC, leap seconds have been. */
const LEAP = /-(?:06-30|12-31)T23:59:59/;

/**
 * The moment that an RFC 3339 timestamp stands for, cut to milliseconds. Undefined for other text, for days and times that do
 * not exist, and for moments outside the years 0000 to 9999 in UTC, which have no such timestamp. A leap second is the second
 * after it, as in Postgres.
 */
export function dateTimeOf(text: string): Date | undefined {
  const [, day = '', minute = '', second = '', fraction = '', offset = ''] =
    RFC_3339.exec(text.toUpperCase()) ?? [];
  // February 30 would be read as one in March.
  const midnight = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return undefined;
  const isLeap = second === '60';
  const ms = fraction.slice(0, 3).padEnd(3, '0');
  const date = new Date(`${day}T${minute}:${isLeap ? '59' : second}.${ms}${offset}`);
  if (isLeap && !LEAP.test(date.toISOString())) return undefined;
  if (isLeap) date.setTime(date.getTime() + 1000);
  // Other years are written with a sign and more digits.
  return /^\d/.test(date.toISOString()) ? date : undefined;
}
