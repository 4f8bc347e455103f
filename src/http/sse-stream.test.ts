import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { forbidden } from '../errors.js';
import { Context, type ContextParts } from '../graphql/context.js';
import type { LiveEvents } from '../live/live-events.js';
import { Batch, type LiveSink } from '../live/sink.js';
import { createLogger } from '../observability/logger.js';
import { SseStream } from './sse-stream.js';

// Before time is faked: it has a timer of its own.
const logger = createLogger('silent');

class Response extends EventEmitter {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
}

describe('An event stream whose client does not read', () => {
  let res: Response;
  let sink: LiveSink;
  let stream: SseStream;
  const stopped = vi.fn();

  beforeEach(() => {
    vi.useFakeTimers();
    res = new Response();
    stopped.mockReset();
    const events = {
      attach: (given: LiveSink) => {
        sink = given;
        return { stop: stopped };
      },
    };
    const parts = { authentication: { kind: 'none' }, logger, requestId: 'r' };
    stream = new SseStream(
      events as unknown as LiveEvents,
      res as unknown as ServerResponse,
      new Context(parts as unknown as ContextParts),
    );
  });
  afterEach(() => {
    stream.destroy();
    vi.useRealTimers();
  });

  const answer = (bytes: number) =>
    new Batch([{ text: JSON.stringify({ data: 'x'.repeat(bytes) }), cursor: undefined }]);

  test.each([
    ['ended', undefined],
    ['failed', forbidden('gone')],
  ])('says nothing after its end, when it has %s, and is cut in the end', async (_how, error) => {
    sink.send(answer(100));
    sink.end(error);
    sink.end();
    sink.send(answer(100));
    expect(sink.isReady).toBe(true);
    await sink.ready();
    // Comments that keep a stream alive would come every 12 seconds.
    await vi.advanceTimersByTimeAsync(29_000);
    expect(res.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(res.destroyed).toBe(true);
    expect(stopped).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is cut when something has waited for 30 seconds, and not before', async () => {
    stream.read();
    expect(sink.isReady).toBe(true);
    sink.send(answer(20_000));
    expect(sink.isReady).toBe(false);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(res.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(res.destroyed).toBe(true);
  });
});
