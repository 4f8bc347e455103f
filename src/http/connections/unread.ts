import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';

/** As `/proc/net/tcp` has them: `sl local_address rem_address st tx_queue:rx_queue …`, numbers in hexadecimal. */
const ROW = /^ *\d+: [\dA-F]+:([\dA-F]{4}) [\dA-F]+:([\dA-F]{4}) [\dA-F]{2} ([\dA-F]{8}):/gm;

/** Bytes that the system has taken and the other end has not, as a text that changes when it takes some. */
export type UnreadBytes = (socket: Socket) => string | undefined;

/**
 * Asks the system how much of what it has taken for its connections was not acknowledged. Undefined where it does not say, which is everywhere but
 * on Linux: there a connection takes megabytes at a time from the process, so that a slow reader looks from here like one that reads nothing.
 */
export async function unreadBytes(): Promise<UnreadBytes | undefined> {
  const tables = await Promise.all(
    ['/proc/self/net/tcp', '/proc/self/net/tcp6'].map((path) => readFile(path, 'latin1').catch(() => '')),
  );
  const rows = new Map<string, string>();
  for (const table of tables) {
    for (const [, local = '', remote = '', unread = ''] of table.matchAll(ROW)) {
      const ports = portsOf(parseInt(local, 16), parseInt(remote, 16));
      rows.set(ports, `${rows.get(ports) ?? ''} ${unread}`);
    }
  }
  if (rows.size === 0) return undefined;
  return ({ localPort, remotePort }) => rows.get(portsOf(localPort, remotePort));
}

/** Others may have the same remote port at another address: their figures stand together. */
const portsOf = (local: number | undefined, remote: number | undefined): string =>
  `${String(local)} ${String(remote)}`;
