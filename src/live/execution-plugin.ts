import {
  createSourceEventStream,
  getOperationAST,
  Kind,
  GraphQLError,
  type ExecutionArgs,
  type ExecutionResult,
  type OperationDefinitionNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Context } from '../graphql/context.js';
import { executeOperation } from '../execution/execute.js';
import { tooCostly } from '../graphql/cost.js';
import { tracing } from '../observability/tracing.js';
import { LiveEvents } from './live-events.js';

/** What the transports hand to yoga with each request. */
export interface TransportContext {
  readonly parley: Context;
}

/** What one does with a token that has run out. */
const WITHOUT_TOKEN = new Set(['signUp', 'signIn', 'refreshSession', 'signOut', '__typename']);

/** Letters of an operation's name that are remembered: it goes into logs and traces, and a client may send a long one. */
const MAX_NAME = 128;

/**
 * How operations are executed, whatever transport they came by: with our own context, refused as a whole when the token that
 * came along is bad, and subscriptions event by event (LiveEvents).
 */
export function useExecution(): Plugin<TransportContext> {
  return {
    onExecute({ setExecuteFn, args }) {
      const context = contextOf(args);
      setExecuteFn((given: ExecutionArgs) => executeFor(context, given));
    },
    onSubscribe({ setSubscribeFn, setResultAndStopExecution, args }) {
      const context = contextOf(args);
      note(context, args);
      const refusal = refused(context, args);
      if (refusal !== undefined) {
        setResultAndStopExecution(refusal);
        return;
      }
      setSubscribeFn(async (given: ExecutionArgs) => {
        const live = { ...given, contextValue: context };
        const source = await inSpan(context, () => createSourceEventStream(live));
        return Symbol.asyncIterator in source ? new LiveEvents(source, live) : source;
      });
    },
  };
}

/** Executes a query or mutation of a valid document as `context`, or answers why it is refused as a whole. */
export function executeFor(
  context: Context,
  args: Omit<ExecutionArgs, 'contextValue'>,
): ExecutionResult | Promise<ExecutionResult> {
  note(context, args);
  const { schema, document, rootValue, variableValues, operationName } = args;
  const run = () =>
    executeOperation({ schema, document, rootValue, contextValue: context, variableValues, operationName });
  return refused(context, args) ?? context.executions.track(inSpan(context, run));
}

const contextOf = (args: ExecutionArgs): Context => (args.contextValue as TransportContext).parley;

/** Remembers what is asked for, for whoever reports on the request. */
function note(
  context: Context,
  { document, operationName }: Pick<ExecutionArgs, 'document' | 'operationName'>,
): void {
  const operation = getOperationAST(document, operationName);
  if (operation != null)
    context.operation = { name: operation.name?.value.slice(0, MAX_NAME), kind: operation.operation };
}

/** Runs an operation in a span: of its request over HTTP; on a socket, of the trace that the client names. */
function inSpan<Result extends object>(
  { operation, traceparent, socket }: Context,
  run: () => Result | Promise<Result>,
): Result | Promise<Result> {
  if (tracing === undefined || operation === undefined) return run();
  const { name, kind } = operation;
  return tracing.span(
    {
      name: name === undefined ? kind : `${kind} ${name}`,
      attributes: { 'graphql.operation.type': kind, 'graphql.operation.name': name },
      ...(socket === undefined ? {} : { kind: 'server', parent: traceparent }),
    },
    run,
    (result: object) => 'errors' in result && result.errors !== undefined,
  );
}

/**
 * A request with a bad token is refused whole: answered as if signed out, its nulls would look like rooms that are gone. Only
 * what brings a new token passes. So is one that asks for too much.
 */
function refused({ authentication }: Context, args: ExecutionArgs): ExecutionResult | undefined {
  if (authentication.kind === 'refused') {
    const operation = getOperationAST(args.document, args.operationName);
    if (operation != null && !onlySignsIn(operation)) return whole(authentication.error);
  }
  const costs = tooCostly(args);
  return costs && whole(costs);
}

const whole = (error: Error): ExecutionResult => ({
  errors: [new GraphQLError(error.message, { originalError: error })],
});

const onlySignsIn = ({ selectionSet }: OperationDefinitionNode): boolean =>
  selectionSet.selections.every(
    (selection) => selection.kind === Kind.FIELD && WITHOUT_TOKEN.has(selection.name.value),
  );
