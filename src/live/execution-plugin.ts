import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  createSourceEventStream,
  execute,
  getOperationAST,
  Kind,
  GraphQLError,
  type ExecutionArgs,
  type ExecutionResult,
  type OperationDefinitionNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Context } from '../graphql/context.js';
import { complexityError, limits } from '../graphql/limits.js';
import { LiveEvents } from './live-events.js';

/** What the transports hand to yoga with each request. */
export interface TransportContext {
  readonly parley: Context;
}

/** What one does with a token that has run out. */
const WITHOUT_TOKEN = new Set(['signUp', 'signIn', 'refreshSession', 'signOut', '__typename']);

/**
 * How operations are executed, whatever transport they came by: with our own context, refused as a whole when the token that
 * came along is bad, and subscriptions event by event (LiveEvents).
 */
export function useExecution(): Plugin<TransportContext> {
  return {
    onExecute({ setExecuteFn, setResultAndStopExecution, args }) {
      const context = contextOf(args);
      const refusal = refused(context, args);
      if (refusal !== undefined) setResultAndStopExecution(refusal);
      else setExecuteFn((given: ExecutionArgs) => execute({ ...given, contextValue: context }));
    },
    onSubscribe({ setSubscribeFn, setResultAndStopExecution, args }) {
      const context = contextOf(args);
      const refusal = refused(context, args) ?? tooCostly(args);
      if (refusal !== undefined) {
        setResultAndStopExecution(refusal);
        return;
      }
      setSubscribeFn(async (given: ExecutionArgs) => {
        const live = { ...given, contextValue: context };
        const source = await createSourceEventStream(live);
        return Symbol.asyncIterator in source ? new LiveEvents(source, live) : source;
      });
    },
  };
}

const contextOf = (args: ExecutionArgs): Context => (args.contextValue as TransportContext).parley;

/**
 * A request with a bad token is refused whole: answered as if signed out, its nulls would look like rooms that are gone. Only
 * what brings a new token passes.
 */
function refused(context: Context, args: ExecutionArgs) {
  if (context.authentication.kind !== 'refused') return undefined;
  const operation = getOperationAST(args.document, args.operationName);
  if (operation == null || onlySignsIn(operation)) return undefined;
  return whole(context.authentication.error);
}

/** Pothos asks for the cost when a root field is resolved: of a subscription that is its first event, when it has long begun. */
function tooCostly({ schema, document, operationName, variableValues }: ExecutionArgs) {
  const operation = getOperationAST(document, operationName);
  if (operation == null) return undefined;
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
  try {
    const cost = complexityFromQuery(
      { ...document, definitions: [operation, ...fragments] },
      { schema, variables: { ...variableValues } },
    );
    if (cost.complexity <= limits.complexity) return undefined;
    return whole(complexityError(undefined, cost));
  } catch {
    // Variables that do not fit, which is told when it is executed.
    return undefined;
  }
}

/** The answer to an operation that is refused as a whole. */
const whole = (error: Error): ExecutionResult => ({
  errors: [new GraphQLError(error.message, { originalError: error })],
});

const onlySignsIn = ({ selectionSet }: OperationDefinitionNode): boolean =>
  selectionSet.selections.every(
    (selection) => selection.kind === Kind.FIELD && WITHOUT_TOKEN.has(selection.name.value),
  );
