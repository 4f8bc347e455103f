/**
 * A parser of the timestamps that Postgres writes for a session in UTC, such as `2026-01-31 12:00:00.123+00`: every page has a hundred, and
 * the driver's own, which understands all calendars and offsets, takes ten times as long. All other text is for that one, `usual`.
 */
export const timestampOr =
  (usual: (text: string) => unknown) =>
  (text: string): unknown => {
    const end = text.length - 3;
    // The fraction ends with its last digit that is not zero.
    const whole = end === 19 || (end > 20 && end <= 23 && text[19] === '.');
    if (!whole || text[4] !== '-' || !text.endsWith('+00')) return usual(text);
    const digits = (from: number, to: number): number => {
      let number = 0;
      for (let i = from; i < to; i++) number = number * 10 + text.charCodeAt(i) - 48;
      return number;
    };
    // Years before 100 are others to Date.UTC.
    const year = digits(0, 4);
    if (year < 1000) return usual(text);
    const ms = end === 19 ? 0 : digits(20, end) * 10 ** (23 - end);
    const [month, day] = [digits(5, 7) - 1, digits(8, 10)];
    return new Date(Date.UTC(year, month, day, digits(11, 13), digits(14, 16), digits(17, 19), ms));
  };
