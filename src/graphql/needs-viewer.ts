import type { GraphQLField } from 'graphql';

/**
 * `extensions` of a field whose value, or whose being shown, hangs on who asks. Where it is selected in a subscription, the event is
 * executed for each viewer; everything else is executed once for all.
 */
export const needsViewer = { needsViewer: true } as const;

export const doesNeedViewer = ({ extensions }: GraphQLField<unknown, unknown>): boolean =>
  extensions['needsViewer'] === true;
