import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Counts the bytes of all connections to a server, whatever is spoken over them, by asking them when somebody wants to know. */
export class Traffic {
  private readonly open = new Set<Socket>();
  private closed = { received: 0, sent: 0 };

  constructor(server: Server) {
    server.on('connection', (socket) => {
      // One that is handed back to the server comes by again.
      if (this.open.has(socket)) return;
      this.open.add(socket);
      socket.once('close', () => {
        this.open.delete(socket);
        this.closed = sum(this.closed, socket);
      });
    });
  }

  /** Since the server began. */
  total(): { readonly received: number; readonly sent: number } {
    let total = this.closed;
    for (const socket of this.open) total = sum(total, socket);
    return total;
  }
}

const sum = ({ received, sent }: { received: number; sent: number }, socket: Socket) => ({
  received: received + socket.bytesRead,
  sent: sent + socket.bytesWritten,
});
