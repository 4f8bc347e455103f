import { dirname, relative, resolve, sep } from 'node:path';
import { mayQuery, placeOf, whyNotFile, whyNotPackage } from './house.js';

/** @typedef {import('eslint').Rule.RuleModule} RuleModule */
/** @typedef {import('eslint').Rule.RuleContext} RuleContext */
/** @typedef {import('eslint').Rule.Node} Node */

/**
 * Every import, of whatever form, goes where the table allows.
 * @type {RuleModule}
 */
const imports = {
  meta: { type: 'problem', schema: [], messages: { no: 'Not from here: {{why}}' } },
  create(context) {
    const from = placeOf(repositoryPath(context, context.filename));
    if (from === undefined) return {};

    /** @param {Node} node @param {unknown} source @param {boolean} typeOnly */
    const check = (node, source, typeOnly) => {
      if (typeof source !== 'string') return;
      const why = source.startsWith('.')
        ? whyNotFile(
            from,
            placeOf(repositoryPath(context, resolve(dirname(context.filename), source))),
            typeOnly,
          )
        : whyNotPackage(from, source, typeOnly);
      if (why !== undefined) context.report({ node, messageId: 'no', data: { why } });
    };

    /** @param {any} node an import or export declaration, in TypeScript's terms */
    const declaration = (node) => {
      const kind = node.importKind ?? node.exportKind;
      const named = node.specifiers ?? [];
      const everyType =
        named.length > 0 && named.every((/** @type {any} */ one) => one.importKind === 'type');
      check(node, node.source?.value, kind === 'type' || everyType);
    };
    return {
      ImportDeclaration: declaration,
      ExportNamedDeclaration: declaration,
      ExportAllDeclaration: declaration,
      /** @param {any} node */
      ImportExpression: (node) => {
        check(node, node.source.value, false);
      },
      /** @param {any} node */
      TSImportType: (node) => {
        check(node, node.source.value, true);
      },
    };
  },
};

const BUILDS_A_QUERY = new Set([
  'selectFrom',
  'selectNoFrom',
  'insertInto',
  'replaceInto',
  'updateTable',
  'deleteFrom',
  'mergeInto',
  'withRecursive',
  'executeQuery',
]);

/**
 * A query is written where queries live, even when the connection is at hand elsewhere.
 * @type {RuleModule}
 */
const queries = {
  meta: {
    type: 'problem',
    schema: [],
    messages: { no: 'Queries live in *.queries.ts, events/event-log.ts and db/.' },
  },
  create(context) {
    const place = placeOf(repositoryPath(context, context.filename));
    if (place === undefined || mayQuery(place)) return {};
    return {
      'CallExpression > MemberExpression.callee': (/** @type {any} */ callee) => {
        if (BUILDS_A_QUERY.has(callee.property.name)) context.report({ node: callee, messageId: 'no' });
      },
    };
  },
};

/**
 * A policy answers from what it is given, at once.
 * @type {RuleModule}
 */
const policies = {
  meta: { type: 'problem', schema: [], messages: { no: 'A policy does no I/O: it is a pure predicate.' } },
  create(context) {
    if (placeOf(repositoryPath(context, context.filename))?.role !== 'policy') return {};
    /** @param {any} node */
    const report = (node) => {
      context.report({ node, messageId: 'no' });
    };
    return {
      ':function[async=true]': report,
      AwaitExpression: report,
      ImportExpression: report,
      'Identifier[name=/^(fetch|process|console|setTimeout|setInterval|Promise)$/]': report,
    };
  },
};

/** @param {RuleContext} context @param {string} path */
const repositoryPath = (context, path) => relative(context.cwd, path).split(sep).join('/');

/** The rules of the house, for eslint.config.js. */
export const house = { rules: { imports, queries, policies } };
