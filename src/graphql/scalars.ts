import { GraphQLError, Kind } from 'graphql';
import { isoOf } from '../db/timestamps.js';
import { ParleyError } from '../errors.js';
import { builder } from './builder.js';
import { dateTimeOf } from './date-time.js';

const NO_DATE_TIME =
  'DateTime must be an RFC 3339 timestamp of a day and time that exist, such as 2026-01-31T12:00:00.000Z.';

function parseDateTime(value: unknown): Date {
  const date = typeof value === 'string' ? dateTimeOf(value) : undefined;
  if (date === undefined) throw new GraphQLError(NO_DATE_TIME);
  return date;
}

builder.scalarType('DateTime', {
  description:
    'A point in time as an RFC 3339 timestamp, in UTC with milliseconds. As input any offset will do; days and times that do not exist are BAD_USER_INPUT. A leap second is the second after it.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339',
  serialize: isoOf,
  parseValue: parseDateTime,
  parseLiteral: (node) => {
    if (node.kind !== Kind.STRING) throw new GraphQLError(NO_DATE_TIME);
    const date = dateTimeOf(node.value);
    // The document fits the schema; its value is wrong, as it would be in a variable.
    if (date === undefined) throw new ParleyError('BAD_USER_INPUT', NO_DATE_TIME);
    return date;
  },
});

function parseSafeInt(value: unknown): number {
  if (!Number.isSafeInteger(value))
    throw new GraphQLError('SafeInt must be a whole number from -(2^53 - 1) to 2^53 - 1.');
  return value as number;
}

builder.scalarType('SafeInt', {
  description:
    'A whole number up to 2^53 - 1, as a JSON number. Int is too small for byte counts above 2 GiB.',
  serialize: parseSafeInt,
  parseValue: parseSafeInt,
  parseLiteral: (node) => parseSafeInt(node.kind === Kind.INT ? Number(node.value) : undefined),
});

builder.scalarType('URL', {
  description: 'An absolute address.',
  specifiedByURL: 'https://url.spec.whatwg.org/',
  serialize: String,
  parseValue: (value) => {
    if (typeof value !== 'string' || !URL.canParse(value))
      throw new GraphQLError('URL must be an absolute address.');
    return value;
  },
});
