import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Server } from 'graphql-ws';
import type { RawData, WebSocket } from 'ws';
import { isOutage } from '../db/outage.js';
import type { LiveConnection } from '../live/connections.js';
import type { LiveEvents } from '../live/live-events.js';
import { callAt } from '../live/long-timer.js';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import type { Viewer } from '../viewer.js';
import { CLOSE, type Close } from './close-codes.js';
import { Lane } from './lane.js';
import { SocketOperation } from './operation.js';
import type { SocketLog } from './socket-log.js';

/** Between pings; one that is not answered before the next ends the socket. */
const PING_MS = 12_000;
/** A reader that takes nothing for this long while data waits is let go. */
const STALLED_MS = 30_000;
/** One that takes a large message bit by bit has this long for it. */
const SLOW_MS = 300_000;
/** A connection that has not moved for this long stands still. Shorter than the time between pings, which look. */
const STILL_MS = 8000;

/** Time to answer a close when the server stops. */
const FAREWELL_MS = 2000;

/** Messages that only a server sends: graphql-ws's core takes them for a defect of its own. */
const FROM_SERVER: ReadonlySet<unknown> = new Set(['connection_ack', 'next', 'error']);

/** What graphql-ws's core hands back to our hooks about a socket. */
export interface SocketExtra {
  readonly request: IncomingMessage;
  readonly socket: LiveSocket;
  readonly log: SocketLog;
}

interface Operation {
  /** Completed from either side; its loop may still be settling. */
  completed: boolean;
  /** Messages for the same id that must wait until the loop has settled. */
  readonly waiting: string[];
}

/** One client's socket: carries messages between ws and graphql-ws's core, in order, and closes itself when it must. */
export class LiveSocket implements LiveConnection {
  viewer: Viewer | undefined;
  private readonly operations = new Map<string, Operation>();
  private readonly pinging: NodeJS.Timeout;
  private stopExpiry: (() => void) | undefined;
  private answered = true;
  private isStill = false;
  private readonly lane: Lane;
  private readonly closed: Promise<void>;
  private receive: (text: string) => Promise<void> = () => Promise.resolve();

  constructor(
    private readonly ws: WebSocket,
    private readonly connection: Socket,
    private readonly logger: Logger,
  ) {
    this.lane = new Lane(ws, connection);
    this.pinging = setInterval(() => {
      this.ping();
    }, PING_MS);
    this.pinging.unref();
    // Nothing else tells that the system has taken a part of a message.
    connection.on('timeout', () => {
      this.isStill = true;
    });
    ws.on('pong', () => {
      this.answered = true;
    });
    this.closed = new Promise((resolve) => {
      ws.once('close', () => {
        resolve();
      });
    });
    ws.on('error', (err) => {
      // A frame too large, broken UTF-8, a connection cut: ws closes with the right code by itself.
      logger.debug({ err }, 'socket error');
    });
  }

  /** Opens the protocol on the socket. Calls `onClose` with the code that it was closed with when it is gone. */
  open(core: Server<SocketExtra>, extra: SocketExtra, onClose: (code: number) => void): void {
    const closed = core.opened(
      {
        protocol: this.ws.protocol,
        send: (text) => this.send(text),
        close: (code, reason) => {
          this.ws.close(code, reason);
        },
        onMessage: (receive) => {
          this.receive = receive;
        },
      },
      extra,
    );
    this.ws.on('message', (data, isBinary) => {
      // The protocol is JSON text; what a binary frame holds is not looked at.
      this.onMessage(isBinary ? '' : textOf(data));
    });
    this.ws.once('close', (code, reason) => {
      clearInterval(this.pinging);
      this.stopExpiry?.();
      onClose(code);
      closed(code, reason.toString()).catch((err: unknown) => {
        this.logger.error({ err }, 'a socket did not end cleanly');
      });
    });
  }

  /** Sends the answers of a subscription; what comes back tells graphql-ws's core of its end. */
  operation(events: LiveEvents, id: string): SocketOperation {
    return new SocketOperation(events, this.lane, id);
  }

  /** Takes the viewer's rights over, or on with a fresh token, and gives them up when it runs out. */
  authenticate(viewer: Viewer): void {
    this.viewer = viewer;
    this.stopExpiry?.();
    this.stopExpiry = callAt(viewer.tokenExpiresAt, () => this.expire());
  }

  expire(): void {
    this.close(CLOSE.FORBIDDEN);
  }

  restart(): void {
    this.close(CLOSE.RESTART);
    // One that reads nothing does not answer the close either, and must not hold up the stop.
    setTimeout(() => this.ws.terminate(), FAREWELL_MS).unref();
  }

  private close({ code, reason }: Close): void {
    this.ws.close(code, reason);
  }

  /**
   * An id may be used again as soon as its operation is completed, while graphql-ws's loop for it may still be settling and would
   * then complete the new one. So messages for such an id wait for the old loop.
   */
  private onMessage(text: string): void {
    // Once it is being closed nothing more is done for it, whether the client knows yet or not.
    if (this.ws.readyState !== this.ws.OPEN) return;
    this.holdBack();
    const { type, id } = envelope(text);
    if (FROM_SERVER.has(type)) {
      this.close(CLOSE.BAD_MESSAGE);
      return;
    }
    const operation = id === undefined ? undefined : this.operations.get(id);
    if (operation?.completed === true) {
      operation.waiting.push(text);
      return;
    }
    if (type === 'complete' && operation !== undefined) operation.completed = true;
    const done = this.receive(text).catch((err: unknown) => {
      if (this.ws.readyState !== this.ws.OPEN) return;
      this.logger.error({ err }, 'a socket message failed');
      this.close(isOutage(err) ? CLOSE.TRY_LATER : CLOSE.INTERNAL);
    });
    if (type === 'subscribe' && id !== undefined && operation === undefined) {
      const begun: Operation = { completed: false, waiting: [] };
      this.operations.set(id, begun);
      void done.then(() => {
        this.operations.delete(id);
        for (const message of begun.waiting) this.onMessage(message);
      });
    }
  }

  /**
   * Resolves when the system has taken the message: so a socket that is not drained stops its subscribers' reading. One that can
   * take no more is not the operation's failure: it waits for the close, which ends the operation.
   */
  private send(text: string): Promise<void> {
    const { type, id } = envelope(text);
    if (id !== undefined && (type === 'complete' || type === 'error')) {
      const operation = this.operations.get(id);
      if (operation !== undefined) operation.completed = true;
    }
    return new Promise((resolve) => {
      this.lane.send(text, (err) => resolve(err == null ? undefined : this.closed));
    });
  }

  /** One that does not read what it asked for is not listened to meanwhile, or it could ask for more than memory holds. */
  private holdBack(): void {
    if (this.ws.isPaused || this.lane.isReady) return;
    this.ws.pause();
    void this.lane.ready().then(() => {
      // What it answered meanwhile was not read.
      this.answered = true;
      this.ws.resume();
    });
  }

  private ping(): void {
    const isStill = this.isStill;
    this.isStill = false;
    this.connection.setTimeout(STILL_MS);
    const stalled = this.lane.stalledFor();
    if (stalled > (isStill ? STALLED_MS : SLOW_MS)) {
      counts.cut.ws_slow += 1;
      // The close waits behind what is not read, so the connection is cut as well.
      this.close(CLOSE.TRY_LATER);
      this.ws.terminate();
    } else if (!this.answered && this.lane.isEmpty) {
      counts.cut.ws_silent += 1;
      this.ws.terminate();
    } else {
      // Behind what is waiting it may arrive late.
      this.answered = !this.lane.isEmpty;
      this.ws.ping();
    }
  }
}

const textOf = (data: RawData): string =>
  (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString();

/** The type and id of a message, as far as it has them; what is no message at all is left to the core to refuse. */
function envelope(text: string): { type?: unknown; id?: string } {
  try {
    const message: unknown = JSON.parse(text);
    if (message === null || typeof message !== 'object') return {};
    const { type, id } = message as { type?: unknown; id?: unknown };
    return typeof id === 'string' ? { type, id } : { type };
  } catch {
    return {};
  }
}
