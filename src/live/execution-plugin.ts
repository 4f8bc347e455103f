import {
  createSourceEventStream,
  getOperationAST,
  Kind,
  GraphQLError,
  validate,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type ValidationRule,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { ParleyError } from '../errors.js';
import type { Context } from '../graphql/context.js';
import { executeOperation } from '../execution/execute.js';
import type { Variables } from '../execution/plan.js';
import { costRefusal, introspects } from '../graphql/cost.js';
import { introspectionRefusal } from '../graphql/introspection.js';
import { coerceVariables } from '../graphql/variables.js';
import { tracing } from '../observability/tracing.js';
import { LiveEvents } from './live-events.js';
import { unconditionalRoot } from './subscription-root.js';

/** What the transports hand to yoga with each request. */
export interface TransportContext {
  readonly parley: Context;
  /** Why the request is refused before it is read. */
  readonly refusal?: ParleyError | undefined;
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
    onValidate({ addValidationRule, setValidationFn, context }) {
      addValidationRule(unconditionalRoot);
      if (hidesNames(context.parley)) {
        setValidationFn((schema: GraphQLSchema, document: DocumentNode, rules: ValidationRule[]) =>
          validate(schema, document, rules, { hideSuggestions: true }),
        );
      }
    },
    onExecute({ setExecuteFn, args }) {
      const context = contextOf(args);
      setExecuteFn((given: ExecutionArgs) => executeFor(context, given));
    },
    onSubscribe({ setSubscribeFn, setResultAndStopExecution, args }) {
      const context = contextOf(args);
      const admitted = admit(context, args);
      if ('errors' in admitted) {
        setResultAndStopExecution(admitted);
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
  const admitted = admit(context, args);
  if ('errors' in admitted) return admitted;
  const { schema, document, rootValue, variableValues, operationName } = args;
  const given = { schema, document, rootValue, contextValue: context, variableValues, operationName };
  return context.executions.track(inSpan(context, () => executeOperation(given, admitted.variables)));
}

/** Whether errors keep to themselves how something that was misspelt is called: where the schema is not shown to all. */
const hidesNames = ({ introspection }: Context): boolean => introspection !== 'on';

const contextOf = (args: ExecutionArgs): Context => (args.contextValue as TransportContext).parley;

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

/** Why an operation is refused before anything of it is executed. */
interface Refusal extends ExecutionResult {
  readonly errors: readonly GraphQLError[];
}

/**
 * Answers an operation's variables, coerced, or why it is refused as a whole: for a bad token (answered as if signed out, its nulls would look
 * like rooms that are gone; only what brings a new token passes), for the schema where that is not shown, for variables that do not fit, or
 * because it asks for too much. Remembers what is asked for, for whoever reports on the request.
 */
function admit(
  context: Context,
  args: Omit<ExecutionArgs, 'contextValue'>,
): Refusal | { readonly variables: Variables } {
  const operation = getOperationAST(args.document, args.operationName);
  // graphql-js says that there is none.
  if (operation == null) return { variables: {} };
  context.operation = { name: operation.name?.value.slice(0, MAX_NAME), kind: operation.operation };
  const { authentication } = context;
  if (authentication.kind === 'refused' && !onlySignsIn(operation)) return whole(authentication.error);
  const hidden = introspectionRefusal(context.introspection, context.viewer !== undefined);
  if (hidden !== undefined && introspects(args, operation)) return whole(hidden);
  const { schema, variableValues } = args;
  const { coerced: variables, errors } = coerceVariables(
    schema,
    operation,
    variableValues,
    hidesNames(context),
  );
  if (errors !== undefined) return { errors };
  const refused = costRefusal(args, operation, variables);
  return refused === undefined ? { variables } : whole(refused);
}

const whole = (error: Error): Refusal => ({
  errors: [error instanceof GraphQLError ? error : new GraphQLError(error.message, { originalError: error })],
});

const onlySignsIn = ({ selectionSet }: OperationDefinitionNode): boolean =>
  selectionSet.selections.every(
    (selection) => selection.kind === Kind.FIELD && WITHOUT_TOKEN.has(selection.name.value),
  );
