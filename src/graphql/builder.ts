import SchemaBuilder from '@pothos/core';
import ComplexityPlugin from '@pothos/plugin-complexity';
import RelayPlugin from '@pothos/plugin-relay';
import ValidationPlugin from '@pothos/plugin-validation';
import type { Context } from './context.js';
import { encodeId, parseId, type NodeTypeName } from './ids.js';
import { limits, tooManyNodes } from './limits.js';

/** Scalars whose values belong to a slice; it adds them by declaration merging. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by the slices
export interface SliceScalars {}

/** The one builder of the schema. It defines no types but the roots: those live in the slices' `*.schema.ts`. */
export const builder = new SchemaBuilder<{
  Context: Context;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    SafeInt: { Input: number; Output: number };
    URL: { Input: string; Output: string };
  } & { [Name in keyof SliceScalars]: SliceScalars[Name] };
}>({
  plugins: [ValidationPlugin, ComplexityPlugin, RelayPlugin],
  defaultFieldNullability: false,
  // It says what each field costs. What an operation may cost is looked at before anything of it is executed: cost.ts.
  complexity: { disabled: true, defaultListMultiplier: 10 },
  relay: {
    cursorType: 'String',
    encodeGlobalID: (typename, id) => encodeId(typename as NodeTypeName, String(id)),
    // Query.node and Query.nodes answer null for what is no id.
    decodeGlobalID: (text) => {
      const parsed = parseId(text);
      return { typename: parsed?.type ?? '', id: parsed?.id ?? '' };
    },
    edgesFieldOptions: {
      nullable: { list: false, items: false },
      description: 'The rows of this page, in the order of the list.',
      // The connection itself counts them: see connectionComplexity.
      complexity: { field: 1, multiplier: 1 },
    },
    nodeFieldOptions: { nullable: false, description: 'The row.' },
    cursorFieldOptions: {
      description: 'The place of this row in the list, opaque: for `after` and `before`.',
    },
    pageInfoFieldOptions: { description: 'Where this page lies in the list.' },
    nodeTypeOptions: { description: 'Anything that has a global id and can be fetched by it.' },
    idFieldOptions: { description: 'Global id, opaque and URL-safe.' },
    pageInfoTypeOptions: { description: 'Where a page lies in its list (Relay Cursor Connections).' },
    hasNextPageFieldOptions: {
      description: 'Whether there are rows after the last one of this page, in either direction of paging.',
    },
    hasPreviousPageFieldOptions: {
      description: 'Whether there are rows before the first one of this page, in either direction of paging.',
    },
    startCursorFieldOptions: {
      description: 'Cursor of the first row of this page; null if the page is empty.',
    },
    endCursorFieldOptions: { description: 'Cursor of the last row of this page; null if the page is empty.' },
    firstArgOptions: { description: 'Return this many rows from the start of the range: 0 to 100.' },
    lastArgOptions: { description: 'Return this many rows from the end of the range: 0 to 100.' },
    afterArgOptions: { description: 'A page cursor of this list: return only rows after it.' },
    beforeArgOptions: { description: 'A page cursor of this list: return only rows before it.' },
    nodeQueryOptions: {
      nullable: true,
      description: 'The object with this id; null if there is none or the viewer may not see it.',
      args: { id: { description: 'Global id of any type.' } },
      resolve: (_root, { id }, _ctx, _info, resolveNode) => (id.typename === '' ? null : resolveNode(id)),
    },
    nodesQueryOptions: {
      description:
        'The objects with these ids, in the order of the ids; null for each that does not exist or that the viewer may not see.',
      complexity: ({ ids }) => ({ field: 1, multiplier: Math.max(ids.length, 1) }),
      args: { ids: { description: 'Global ids of any type, at most 100.' } },
      nullable: { list: false, items: true },
      resolve: async (_root, args, _ctx, _info, resolveNodes) => {
        const { ids } = args;
        if (ids.length > limits.nodes) throw tooManyNodes();
        const known = ids.filter(({ typename }) => typename !== '');
        // Pothos looks up `args.ids`, whatever its function is handed.
        args.ids = known;
        const found = await resolveNodes(known);
        return ids.map((id) => (id.typename === '' ? null : found[known.indexOf(id)]));
      },
    },
  },
});

builder.queryType({ description: 'What can be read.' });
builder.mutationType({
  description: 'What can be changed. Each mutation takes one `input` and returns a type of its own.',
});
builder.subscriptionType({
  description: 'What can be followed live, over WebSocket (graphql-transport-ws) or SSE.',
});
