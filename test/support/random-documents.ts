import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  isUnionType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
} from 'graphql';
import { schema } from '../../src/schema.js';

/** A number from 0 on that is smaller than `below`. */
export type Choose = (below: number) => number;

export interface RandomDocument {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** Values that mean something to a server, by what asks for them. */
export interface KnownValues {
  readonly ids: readonly string[];
  readonly texts: readonly string[];
}

/** Levels of objects below the root. */
const DEPTH = 3;
const NUMBERS = [0, 1, 2, 3, 5, 5, 5, -1, 101];

/** Makes one query of the real schema. Most are valid; in some one thing is wrong, or a character is missing. */
export function randomDocument(choose: Choose, known: KnownValues): RandomDocument {
  return new Maker(choose, known).document();
}

class Maker {
  private readonly definitions: string[] = [];
  private readonly variables: Record<string, unknown> = {};
  private readonly fragments: string[] = [];
  private names = 0;

  constructor(
    private readonly choose: Choose,
    private readonly known: KnownValues,
  ) {}

  document(): RandomDocument {
    const selection = this.selectionOf(schema.getQueryType()!, DEPTH);
    const variables = this.definitions.length === 0 ? '' : `(${this.definitions.join(', ')})`;
    const text = [`query Q${variables} ${selection}`, ...this.fragments].join('\n');
    const at = this.choose(text.length);
    const query = this.rarely(8) ? text.slice(0, at) + text.slice(at + 1) : text;
    return { query, variables: this.variables };
  }

  private rarely(often: number): boolean {
    return this.choose(often) === often - 1;
  }

  private pick<T>(values: readonly T[]): T {
    return values[this.choose(values.length)]!;
  }

  private name(kind: string): string {
    this.names += 1;
    return `${kind}${String(this.names)}`;
  }

  private selectionOf(type: GraphQLNamedType, depth: number): string {
    const parts = Array.from({ length: 1 + this.choose(4) }, () => this.partOf(type, depth));
    return `{ ${parts.join(' ')} }`;
  }

  private partOf(type: GraphQLNamedType, depth: number): string {
    if (this.rarely(8)) return `__typename${this.directive()}`;
    const kinds = kindsOf(type);
    if (kinds.length > 0 && (isUnionType(type) || this.rarely(3))) {
      const kind = this.pick(kinds);
      return `... on ${kind.name}${this.directive()} ${this.selectionOf(kind, depth)}`;
    }
    if (this.rarely(10) && this.fragments.length < 5) {
      const name = this.name('F');
      const selection = this.selectionOf(type, depth);
      this.fragments.push(`fragment ${name} on ${type.name} ${selection}`);
      return `...${name}${this.directive()}`;
    }
    const fields = fieldsOf(type).filter((field) => depth > 0 || !isCompositeType(getNamedType(field.type)));
    if (fields.length === 0) return '__typename';
    return this.fieldOf(this.pick(fields), depth);
  }

  private fieldOf(field: GraphQLField<unknown, unknown>, depth: number): string {
    const type = getNamedType(field.type);
    const given = field.args.filter((arg) => isGiven(arg) || this.rarely(4));
    const kept = given.filter(() => !this.rarely(60));
    const args = kept.map((arg) => `${arg.name}: ${this.valueOf(arg.type, arg.name)}`);
    // Two of one field that ask for different things have to be told apart, most of the time.
    const alias = args.length > 0 && !this.rarely(20) ? `${this.name('a')}: ` : '';
    const name = this.rarely(80) ? `${field.name}X` : field.name;
    const below = isCompositeType(type) && !this.rarely(80) ? ` ${this.selectionOf(type, depth - 1)}` : '';
    return `${alias}${name}${args.length === 0 ? '' : `(${args.join(', ')})`}${this.directive()}${below}`;
  }

  private directive(): string {
    if (!this.rarely(12)) return '';
    return ` @${this.pick(['skip', 'include'])}(if: ${this.pick(['true', 'false', this.variable('Boolean!', this.choose(2) === 0)])})`;
  }

  /** A value as it is written, or a variable that has it. */
  private valueOf(type: GraphQLInputType, name: string): string {
    const value = this.rarely(60)
      ? this.pick<unknown>(['x', 0.5, {}, [], null, true])
      : this.plain(type, name);
    return this.rarely(3) ? this.variable(String(type), value) : written(value, type);
  }

  private variable(type: string, value: unknown): string {
    const name = this.name('v');
    this.definitions.push(`$${name}: ${type}`);
    if (!this.rarely(40)) this.variables[name] = value;
    return `$${name}`;
  }

  private plain(type: GraphQLInputType, name: string): unknown {
    if (!isNonNullType(type) && this.rarely(12)) return null;
    const nullable = getNullableType(type);
    if (isListType(nullable))
      return Array.from({ length: this.choose(4) }, () => this.plain(nullable.ofType, name));
    if (isEnumType(nullable)) return this.pick(nullable.getValues()).name;
    if (isInputObjectType(nullable)) {
      const fields = Object.values(nullable.getFields()).filter(
        (field) => isRequiredInputField(field) || this.rarely(3),
      );
      return Object.fromEntries(fields.map((field) => [field.name, this.plain(field.type, field.name)]));
    }
    if (nullable.name === 'Boolean') return this.choose(2) === 0;
    if (nullable.name === 'Int' || nullable.name === 'SafeInt') return this.pick(NUMBERS);
    if (nullable.name === 'DateTime')
      return this.pick(['2026-01-31T00:00:00Z', '2036-01-31T00:00:00.5Z', 'today']);
    return this.pick(nullable.name === 'ID' ? this.known.ids : this.known.texts);
  }
}

/** Pages that are not asked to be small cost more than an operation may. */
const isGiven = (arg: GraphQLArgument): boolean => isRequiredArgument(arg) || arg.name === 'first';

const fieldsOf = (type: GraphQLNamedType): GraphQLField<unknown, unknown>[] =>
  isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];

const kindsOf = (type: GraphQLNamedType): readonly GraphQLNamedType[] =>
  isUnionType(type) || isInterfaceType(type) ? schema.getPossibleTypes(type) : [];

/** A value as a document has it, where texts of an enum bear no quotes. */
function written(value: unknown, type: GraphQLInputType): string {
  const nullable = getNullableType(type);
  if (Array.isArray(value))
    return `[${value.map((item) => written(item, isListType(nullable) ? nullable.ofType : type)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = isInputObjectType(nullable) ? nullable.getFields() : {};
    return `{ ${Object.entries(value)
      .map(([name, one]) => `${name}: ${written(one, fields[name]?.type ?? type)}`)
      .join(', ')} }`;
  }
  return typeof value === 'string' && isEnumType(nullable) ? value : JSON.stringify(value);
}
