import { parseArgs } from 'node:util';

/** What every section takes. An option without a default is a flag, or unset. */
const COMMON = {
  peers: { takes: 'a,b', help: 'only these, of bench/peers' },
  reps: { default: '3', help: 'runs of each peer' },
  'server-cpu': { default: '0', help: "the server's core, or cores (0,1)" },
  'load-cpu': { default: '1', help: "the load's, Postgres's and Redis's" },
  'no-wait': { help: 'neither wait for a quiet machine nor repeat what others disturbed' },
  before: { takes: 'folder', help: 'measure Parley as it is built in this other checkout too, in turns' },
  publish: { help: 'put the outcome into docs/performance.md' },
};

/** A command line that cannot be followed: its message says why, and how it is used. */
export class UsageError extends Error {}

/**
 * The section that is asked for and its options, by camelCase names: those with a numeric default as numbers, flags as booleans.
 * `sections`: each by its name, with `options` as in COMMON. Throws UsageError.
 */
export function readOptions(args, sections) {
  const [name, ...rest] = args;
  const section = sections[name];
  if (section === undefined) throw new UsageError(usage(sections));
  const known = { ...COMMON, ...section.options };
  try {
    const { values } = parseArgs({ args: rest, options: mapValues(known, parserOption) });
    const read = Object.entries(known).map(([key, option]) => [
      camel(key),
      readOne(key, option, values[key]),
    ]);
    return { name, section, options: Object.fromEntries(read) };
  } catch (error) {
    throw new UsageError(`${error.message}\n\n${usage({ [name]: section })}`);
  }
}

const parserOption = (option) => (isFlag(option) ? { type: 'boolean', default: false } : { type: 'string' });

function readOne(key, option, given) {
  const value = given ?? option.default;
  if (isFlag(option) || value === undefined || !/^\d+$/.test(option.default)) return value;
  if (!/^[1-9]\d*$/.test(value) && !key.endsWith('-cpu'))
    throw new Error(`--${key} takes a whole number from 1 on`);
  return key.endsWith('-cpu') ? value : Number(value);
}

function usage(sections) {
  const line = ([key, option]) => {
    const value = isFlag(option) ? '' : `=${option.takes ?? option.default}`;
    return `    --${key}${value}`.padEnd(28) + option.help;
  };
  const part = ([name, { options }]) => [`  npm run bench -- ${name}`, ...Object.entries(options).map(line)];
  return [
    'usage:',
    ...Object.entries(sections).flatMap(part),
    '  all of them',
    ...Object.entries(COMMON).map(line),
  ].join('\n');
}

const isFlag = (option) => option.default === undefined && option.takes === undefined;

const camel = (key) => key.replaceAll(/-(\w)/g, (_, letter) => letter.toUpperCase());

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
