import { z } from 'zod';

/** Items separated by commas. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

/** An address of one of the protocols, such as `https:`. `takes`: what to tell whoever gave another value. */
export const url = (protocols: readonly string[], takes: string) =>
  z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), takes);

/** A whole number within bounds. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .refine(
      (text) => /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max,
      `a whole number from ${String(min)} to ${String(max)}`,
    )
    .transform(Number);

export const DAY_MS = 86_400_000;
const UNITS = { m: 60_000, h: 3_600_000, d: DAY_MS };

/** Minutes, hours or days; milliseconds once read. */
export const duration = z
  .string()
  .regex(/^[1-9]\d{0,4}[mhd]$/, 'a number of minutes, hours or days, such as 90m, 12h or 30d')
  .transform((text) => Number(text.slice(0, -1)) * UNITS[text.slice(-1) as keyof typeof UNITS]);

/** Seconds; milliseconds once read. */
export const seconds = z
  .string()
  .regex(/^(?:\d{1,3}s|0)$/, 'a number of seconds up to 999s, such as 5s, or 0 for none')
  .transform((text) => Number.parseInt(text, 10) * 1000);

/** What one person, and all of one address, may do in a minute; undefined once read where it is `off`. */
export const rate = z
  .string()
  .regex(
    /^(off|[1-9]\d{0,8}\/[1-9]\d{0,8})$/,
    'how often a person, and all of one address, may do it in a minute, such as 600/6000, or off',
  )
  .transform((text) => {
    if (text === 'off') return undefined;
    const [perPerson = 0, perAddress = 0] = text.split('/').map(Number);
    return { perPerson, perAddress };
  });

/** `true` or `false`. */
export const flag = z.enum(['true', 'false'], 'true or false').transform((text) => text === 'true');

/** An address that a browser could open. */
export const httpUrl = (takes: string) => url(['http:', 'https:'], takes);
