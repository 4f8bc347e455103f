/** Elements of a list, and the parameters of one: what stands in quotes is no separator (RFC 9110, section 5.6). */
const ELEMENT = /(?:[^,"]|"(?:\\.|[^"\\])*"?)+/g;
const PARAMETER = /;\s*([^=;\s"]+)\s*=\s*("(?:\\.|[^"\\])*"?|[^;]*)/g;

/** The elements of a header that is a list, such as `Accept`, in small letters. */
export const elementsOf = (header: string): readonly string[] => header.toLowerCase().match(ELEMENT) ?? [];

/** What an element, or a header such as `Content-Type`, says before its parameters, in small letters. */
export const valueOf = (element: string): string =>
  (element.split(';')[0] ?? '').replaceAll(/\s/g, '').toLowerCase();

/** The parameters behind it by their names in small letters; their values without quotes. The first of a name counts. */
export function parametersOf(element: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [, given = '', value = ''] of element.matchAll(PARAMETER)) {
    const name = given.toLowerCase();
    if (!parameters.has(name)) parameters.set(name, unquoted(value.trim()));
  }
  return parameters;
}

const unquoted = (value: string): string =>
  value.startsWith('"') ? value.slice(1).replace(/"$/, '').replaceAll(/\\(.)/g, '$1') : value;
