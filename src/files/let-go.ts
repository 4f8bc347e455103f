import { MessageChannel } from 'node:worker_threads';

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
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) nowhere.postMessage(null, [buffer]);
}

/** The bytes of all chunks as one, whose own memory is let go of. */
export function joined(chunks: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(chunks);
  chunks.forEach(letGo);
  return bytes;
}
