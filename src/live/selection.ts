import {
  astFromValue,
  getNamedType,
  getOperationAST,
  getVariableValues,
  Kind,
  print,
  typeFromAST,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type ArgumentNode,
  type DocumentNode,
  type ExecutionArgs,
  type FragmentDefinitionNode,
  type GraphQLInputType,
  type OperationDefinitionNode,
  type ValueNode,
} from 'graphql';
import { ParleyError } from '../errors.js';
import { costOf } from '../graphql/cost.js';
import { doesNeedViewer } from '../graphql/needs-viewer.js';
import type { LiveArgs } from './answers.js';

/** What subscribers have in common who are sent the same. */
export interface Selection {
  /**
   * Equal for operations that select the same with the same values, however these are given: as a variable, a default or a
   * literal. Where they need the viewer, theirs alone.
   */
  readonly name: string;
  /** A field hangs on who asks, so that it is the same for one viewer only. */
  readonly needsViewer: boolean;
  /** It shows the room itself, which every event changes. */
  readonly showsRoom: boolean;
  /** What an event costs (graphql/cost.ts). */
  readonly cost: number;
}

/** Where a subscriber begins is not what it is sent. */
const PLACES = new Set(['after', 'last']);

/** Selections of one document that are kept, for as many different values of its variables. */
const KEPT = 200;
/** UTF-16 units of values with which one is kept: what a client makes long is its own to read again. */
const MAX_KEPT = 1000;
/** UTF-16 units of a selection: no subscription that is meant is as long, and it is in memory for as long as it lasts. */
const MAX_NAME = 65_536;

const known = new WeakMap<DocumentNode, Map<string, Selection>>();

/** The selection of a subscription. Its variables are valid already. Throws BAD_USER_INPUT for one that is too long. */
export function selectionOf(args: LiveArgs): Selection {
  const selection = selectionFor(args);
  if (!selection.needsViewer) return selection;
  return { ...selection, name: `${args.contextValue.viewer?.id ?? ''} ${selection.name}` };
}

function selectionFor(args: ExecutionArgs): Selection {
  const { document, operationName } = args;
  const values = variablesOf(args);
  let selections = known.get(document);
  if (selections === undefined) known.set(document, (selections = new Map<string, Selection>()));
  const name = JSON.stringify([operationName ?? null, values]);
  let selection = selections.get(name);
  if (selection === undefined) {
    selection = read(args, values);
    if (selection.name.length > MAX_NAME)
      throw new ParleyError('BAD_USER_INPUT', 'The subscription, with its values, is too long: select less.');
    if (name.length > MAX_KEPT) return selection;
    if (selections.size >= KEPT) selections.clear();
    selections.set(name, selection);
  }
  return selection;
}

const operationOf = ({ document, operationName }: ExecutionArgs): OperationDefinitionNode => {
  const operation = getOperationAST(document, operationName);
  if (operation == null) throw new Error('the operation of a subscription is missing');
  return operation;
};

/** The values of variables, defaults applied, in the order of their names; without those that only say where to begin. */
function variablesOf(args: ExecutionArgs): Record<string, unknown> {
  const operation = operationOf(args);
  const { coerced } = getVariableValues(args.schema, operation.variableDefinitions ?? [], {
    ...args.variableValues,
  });
  const places = placesOf(args.document, operation);
  return Object.fromEntries(
    Object.entries(coerced ?? {})
      .filter(([name]) => !places.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Variables that stand in `after` and `last` of the root field and nowhere else. */
function placesOf(document: DocumentNode, operation: OperationDefinitionNode): ReadonlySet<string> {
  const places = new Set<string>();
  const used = new Map<string, number>();
  for (const field of operation.selectionSet.selections) {
    if (field.kind !== Kind.FIELD) continue;
    for (const { name, value } of field.arguments ?? [])
      if (PLACES.has(name.value) && value.kind === Kind.VARIABLE) places.add(value.name.value);
  }
  visit(document, {
    VariableDefinition: () => false,
    Variable: ({ name }) => void used.set(name.value, (used.get(name.value) ?? 0) + 1),
  });
  for (const name of places) if (used.get(name) !== 1) places.delete(name);
  return places;
}

function read(args: ExecutionArgs, values: Record<string, unknown>): Selection {
  const { schema, document } = args;
  const operation = operationOf(args);
  const types = new Map(
    (operation.variableDefinitions ?? []).map(({ variable, type }) => [
      variable.name.value,
      typeFromAST(schema, type) as GraphQLInputType,
    ]),
  );
  const literal = (name: string): ValueNode | undefined => {
    const type = types.get(name);
    const value = values[name];
    if (type === undefined || value === undefined) return undefined;
    return astFromValue(value, type) ?? undefined;
  };

  let [needsViewer, showsRoom] = [false, false];
  const typeInfo = new TypeInfo(schema);
  const rewrite = <Node extends OperationDefinitionNode | FragmentDefinitionNode>(definition: Node): Node =>
    visit(
      definition,
      visitWithTypeInfo(typeInfo, {
        Field(field) {
          const told = typeInfo.getFieldDef();
          if (told != null && doesNeedViewer(told)) needsViewer = true;
          if (getNamedType(typeInfo.getParentType())?.name === 'Room') showsRoom = true;
          const isRoot = typeInfo.getParentType() === schema.getSubscriptionType();
          const given = (field.arguments ?? [])
            .filter(({ name }) => !(isRoot && PLACES.has(name.value)))
            .toSorted((a, b) => (a.name.value < b.name.value ? -1 : 1));
          return { ...field, arguments: given };
        },
        // A variable without a value is an argument, or a field of an input, that was not given.
        Argument: (argument: ArgumentNode) =>
          argument.value.kind === Kind.VARIABLE && literal(argument.value.name.value) === undefined
            ? null
            : undefined,
        ObjectField: ({ value }) =>
          value.kind === Kind.VARIABLE && literal(value.name.value) === undefined ? null : undefined,
        Variable: ({ name }) => literal(name.value) ?? { kind: Kind.NULL },
        StringValue: (value) => ({ ...value, block: false }),
      }),
    );
  const fragments = document.definitions
    .filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
    .toSorted((a, b) => (a.name.value < b.name.value ? -1 : 1));
  const { selectionSet } = rewrite({ ...operation, variableDefinitions: [] });
  const name = [selectionSet, ...fragments.map(rewrite)].map(print).join('\n');
  return { name, needsViewer, showsRoom, cost: costOf(args, operation, values) };
}
