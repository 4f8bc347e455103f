import type { IncomingMessage } from 'node:http';
import { parametersOf, valueOf } from './header-values.js';
import { isUtf8Name } from './utf8.js';

const JSON_TYPES: ReadonlySet<string> = new Set([
  'application/json',
  'application/graphql+json',
  'application/graphql-response+json',
]);

/** What the body of a POST is; `other` is not taken. */
export type BodyKind = 'json' | 'multipart' | 'other';

export function bodyKindOf({ headers }: Pick<IncomingMessage, 'headers'>): BodyKind {
  const type = valueOf(headers['content-type'] ?? '');
  return JSON_TYPES.has(type) ? 'json' : type === 'multipart/form-data' ? 'multipart' : 'other';
}

/** Whether it is JSON as nearly every client sends it: by its usual name, in UTF-8, as it is. */
export function isPlainJson({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'];
  return (
    (type === 'application/json' || (valueOf(type ?? '') === 'application/json' && isUtf8({ headers }))) &&
    headers['content-encoding'] === undefined
  );
}

/** Whether a body is said to be UTF-8; without a word it is taken for it. */
export const isUtf8 = ({ headers }: Pick<IncomingMessage, 'headers'>): boolean =>
  isUtf8Name(
    parametersOf(headers['content-type'] ?? '')
      .get('charset')
      ?.toLowerCase(),
  );

/** Whether a body was compressed, or encoded otherwise. */
export function isEncoded({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  return encoding !== '' && encoding !== 'identity';
}
