import { finished, type Readable } from 'node:stream';
import { MessageChannel } from 'node:worker_threads';

/** Bytes that are taken from a stream before anyone asks for them. */
const AHEAD_BYTES = 256 * 1024;

/**
 * The chunks of a stream as they came. Its own iterator copies those that wait into one, and leaves the garbage collector as many bytes again. A reader
 * that stops leaves the stream paused, unless somebody else reads it, and does not destroy it. Throws what breaks the stream off.
 */
export async function* chunksOf(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  let here: Uint8Array[] = [];
  let bytes = 0;
  let end: { readonly error: Error | null | undefined } | undefined;
  // Paused here, not by somebody else who reads it too.
  let isHeld = false as boolean;
  let wake = (): void => undefined;
  const onData = (chunk: Uint8Array): void => {
    here.push(chunk);
    bytes += chunk.length;
    if (bytes >= AHEAD_BYTES) {
      isHeld = true;
      stream.pause();
    }
    wake();
  };
  const forget = finished(stream, { writable: false }, (error) => {
    end = { error };
    wake();
  });
  stream.on('data', onData);
  try {
    for (;;) {
      const chunks = here;
      here = [];
      bytes = 0;
      for (const chunk of chunks) yield chunk;
      if (chunks.length > 0) continue;
      if (end !== undefined) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        isHeld = false;
        stream.resume();
      });
    }
    if (end.error != null) throw end.error;
  } finally {
    stream.off('data', onData);
    if (stream.listenerCount('data') === 0) stream.pause();
    else if (isHeld) stream.resume();
    forget();
  }
}

/** The same chunks. Throws the signal's reason at the first that comes after an abort. */
export async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    yield chunk;
  }
}

/** A port that is closed: what is handed over to it is gone at once, as the specification of structured clones wants it. */
const { port1: nowhere } = new MessageChannel();
nowhere.close();

/**
 * Frees the memory of bytes that nobody needs any more, instead of leaving it to the garbage collector, which looks for it when there are 32 MiB and
 * at times goes through the whole heap. Whoever calls it has the bytes alone, and nothing is under way that still reads them: they are empty afterwards.
 * A part of larger memory stays as it is.
 */
export function letGo({ buffer, byteLength }: Uint8Array): void {
  // ArrayBuffer.prototype.transfer(0) would say the same from Node 22 on.
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  // What is gone already has no bytes, and later versions throw for it.
  if (isWhole && byteLength > 0) nowhere.postMessage(null, [buffer]);
}

/** The bytes of all chunks as one, whose own memory is let go of. */
export function joined(chunks: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(chunks);
  chunks.forEach(letGo);
  return bytes;
}
