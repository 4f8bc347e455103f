import {
  GraphQLError,
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  Kind,
  OperationTypeNode,
  type DirectiveNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';

const CONDITIONS = new Set([GraphQLSkipDirective.name, GraphQLIncludeDirective.name]);

/**
 * A validation rule: a subscription's root field is there whatever its variables say, since without it there is nothing to subscribe to, for
 * which graphql-js has no answer.
 * https://spec.graphql.org/September2025/#sec-Single-Root-Field
 */
export const unconditionalRoot: ValidationRule = (context) => ({
  OperationDefinition({ operation, selectionSet }) {
    if (operation !== OperationTypeNode.SUBSCRIPTION) return;
    for (const directive of conditionsAt(context, selectionSet, new Set())) {
      const message = `A subscription selects its one root field always: leave @${directive.name.value} out there, or subscribe only when you want to.`;
      context.reportError(new GraphQLError(message, { nodes: [directive] }));
    }
  },
});

/** Those on what is selected at the root, by fragments too. */
function* conditionsAt(
  context: ValidationContext,
  { selections }: SelectionSetNode,
  seen: Set<string>,
): Generator<DirectiveNode> {
  for (const selection of selections) {
    yield* (selection.directives ?? []).filter(({ name }) => CONDITIONS.has(name.value));
    if (selection.kind === Kind.INLINE_FRAGMENT) yield* conditionsAt(context, selection.selectionSet, seen);
    if (selection.kind !== Kind.FRAGMENT_SPREAD || seen.has(selection.name.value)) continue;
    seen.add(selection.name.value);
    const fragment = context.getFragment(selection.name.value);
    if (fragment != null) yield* conditionsAt(context, fragment.selectionSet, seen);
  }
}
