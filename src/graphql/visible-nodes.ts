import { brandWithType } from '@pothos/core';
import type { Context } from './context.js';
import type { NodeTypeName } from './ids.js';

/**
 * How Query.node and Query.nodes get rows of one type: `load` answers the row, or null or undefined where there is nothing or the
 * viewer may not look. Rows are branded here, since the relay plugin shares them between fields before it would do so itself.
 */
export const visibleNodes =
  <Row extends object>(
    type: NodeTypeName,
    load: (id: string, ctx: Context) => Promise<Row | null | undefined>,
  ) =>
  (ids: readonly string[], ctx: Context): Promise<(Row | null)[]> =>
    Promise.all(
      ids.map(async (id) => {
        const row = (await load(id, ctx)) ?? null;
        if (row !== null) brandWithType(row, type as never);
        return row;
      }),
    );
