import { Kind, visit, type DocumentNode, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql';

/**
 * How much work it is to validate that the fields of a document can be merged (section 5.3.2 of the
 * specification), which graphql-js does by comparing each two fields of a name: the selections that
 * each selection set has, those of its fragments included, and the pairs of fields of one name.
 * Infinity beyond `most`, where counting ends.
 * https://spec.graphql.org/September2025/#sec-Field-Selection-Merging
 */
export function mergeCost(document: DocumentNode, most: number): number {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  let cost = 0;

  const count = (set: SelectionSetNode): void => {
    const seen = new Set<string>();
    const named = new Map<string, number>();
    // Not by recursion: fragments may be nested as deep as there are fragments.
    const sets = [set];
    for (let next = sets.pop(); next !== undefined && cost <= most; next = sets.pop()) {
      cost += next.selections.length;
      for (const selection of next.selections) {
        if (selection.kind === Kind.FIELD) {
          const name = (selection.alias ?? selection.name).value;
          const before = named.get(name) ?? 0;
          cost += before;
          named.set(name, before + 1);
        } else if (selection.kind === Kind.INLINE_FRAGMENT) {
          sets.push(selection.selectionSet);
        } else if (!seen.has(selection.name.value)) {
          seen.add(selection.name.value);
          const fragment = fragments.get(selection.name.value);
          if (fragment !== undefined) sets.push(fragment.selectionSet);
        }
      }
    }
  };
  visit(document, {
    SelectionSet(set) {
      count(set);
      return cost > most ? false : undefined;
    },
  });
  return cost > most ? Infinity : cost;
}
