import { GraphQLError, Kind } from 'graphql';
import { isoOf } from '../db/timestamps.js';
import { builder } from './builder.js';

/** RFC 3339, section 5.6: date, T, time, offset. */
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

function parseDateTime(value: unknown): Date {
  const date = typeof value === 'string' && RFC_3339.test(value) ? new Date(value) : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) {
    throw new GraphQLError('DateTime must be an RFC 3339 timestamp such as 2026-01-31T12:00:00.000Z.');
  }
  return date;
}

builder.scalarType('DateTime', {
  description: 'A point in time as an RFC 3339 timestamp, in UTC with milliseconds.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339',
  serialize: isoOf,
  parseValue: parseDateTime,
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
