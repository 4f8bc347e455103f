import { answerTo, type LiveArgs } from './answers.js';
import { selectionOf } from './selection.js';
import { Batch } from './sink.js';

/** What is sent for an event that is one object for all its subscribers, by the name of what they select. */
const shared = new WeakMap<object, Map<string, Promise<Batch>>>();

/** How the answer to an event is made: once for all who select the same. Rejects with LiveEnd. */
export function shareAnswers(args: LiveArgs): (event: object) => Promise<Batch> {
  const { name, needsViewer } = selectionOf(args);
  const own = needsViewer ? args.contextValue.fresh() : args.contextValue.shared();
  return (event) => {
    let batches = shared.get(event);
    if (batches === undefined) shared.set(event, (batches = new Map<string, Promise<Batch>>()));
    let batch = batches.get(name);
    if (batch === undefined) {
      batch = answerTo({ ...args, rootValue: undefined, contextValue: own.fresh() }, event).then(
        (answer) => new Batch([answer]),
      );
      batches.set(name, batch);
    }
    return batch;
  };
}
