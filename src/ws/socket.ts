import type { Socket } from 'node:net';
import type { Server, WebSocket as ProtocolSocket } from 'graphql-ws';
import type { RawData, WebSocket } from 'ws';
import { isOutage } from '../db/outage.js';
import { isTooLarge, refusedAnswer } from '../graphql/answer-text.js';
import { ParleyError } from '../errors.js';
import { limits } from '../graphql/limits.js';
import type { LiveConnection } from '../live/connections.js';
import type { LiveEvents } from '../live/live-events.js';
import type { Logger } from '../observability/logger.js';
import type { Viewer } from '../viewer.js';
import { CLOSE, fittingReason, type Close } from './close-codes.js';
import type { Guest } from './guests.js';
import type { Beating, Heartbeats } from './heartbeats.js';
import { Lane } from './lane.js';
import { OperationIds, type OperationCore, type OperationMessage } from './operation-ids.js';
import { SocketOperation } from './operation.js';
import { tidyPayload } from './payload.js';
import { Pulse } from './pulse.js';
import { SocketInbox, type InboxOwner } from './socket-inbox.js';
import type { SocketLog } from './socket-log.js';
import type { SocketTurns } from './socket-turns.js';

/** Milliseconds to answer a close when the server stops, or the place is needed. */
const FAREWELL_MS = 2000;

/** Messages that only a server sends: graphql-ws's core takes them for a defect of its own. */
const FROM_SERVER: ReadonlySet<unknown> = new Set(['connection_ack', 'next', 'error']);

/** What is known of a socket from the request that became it, which is not kept: it takes as much memory as all of ours. */
export interface SocketOrigin {
  /** The client's address. */
  readonly address: string;
  /** `token` of the request's address. */
  readonly token: string | undefined;
}

export interface SocketParts {
  readonly ws: WebSocket;
  readonly connection: Socket;
  readonly heartbeats: Heartbeats;
  readonly turns: SocketTurns;
  readonly origin: SocketOrigin;
  readonly log: SocketLog;
  readonly logger: Logger;
}

/**
 * One client's socket: carries messages between ws and graphql-ws's core, in order, and closes itself when it must. There may be tens of
 * thousands in a process, so what each keeps is counted: no timer of its own, no closure where a method does.
 */
export class LiveSocket implements LiveConnection, ProtocolSocket, OperationCore, InboxOwner, Beating, Guest {
  viewer: Viewer | undefined;
  readonly origin: SocketOrigin;
  readonly log: SocketLog;
  /** ConnectionInit must be here by then; later, when the viewer's token runs out, or a signed-out one has to go. */
  dueAt = performance.now() + limits.connectionInitMs;
  private begunAt = Infinity;
  private readonly ids = new OperationIds(this);
  private readonly inbox: SocketInbox;
  private readonly place: number;
  private readonly lane: Lane;
  private readonly pulse: Pulse;
  private whenClosed: (() => void) | undefined;
  private closed: Promise<void> | undefined;
  private receive: (text: string) => Promise<void> = () => Promise.resolve();
  private readonly ws: WebSocket;
  private readonly heartbeats: Heartbeats;
  private readonly logger: Logger;

  constructor({ ws, connection, heartbeats, turns, origin, log, logger }: SocketParts) {
    this.ws = ws;
    this.heartbeats = heartbeats;
    this.origin = origin;
    this.log = log;
    this.logger = logger;
    this.lane = new Lane(ws, connection);
    this.pulse = new Pulse(ws, connection, this.lane);
    this.inbox = new SocketInbox(this, turns);
    this.place = heartbeats.add(this);
  }

  get address(): string {
    return this.origin.address;
  }

  /** Opens the protocol on the socket. Calls `onClose` when it is gone. */
  open(core: Server<LiveSocket>, onClose: (socket: LiveSocket) => void): void {
    const closed = core.opened(this, this);
    const { ws, logger } = this;
    ws.on('pong', () => {
      this.pulse.answered = true;
    });
    ws.on('error', (err) => {
      // A frame too large, broken UTF-8, a connection cut: ws closes with the right code by itself.
      logger.debug({ err }, 'socket error');
    });
    ws.on('message', (data, isBinary) => {
      // The protocol is JSON text; what a binary frame holds is not looked at.
      this.take(isBinary ? '' : textOf(data));
    });
    ws.on('close', (code, reason) => {
      this.heartbeats.delete(this, this.place);
      this.pulse.stop();
      this.dueAt = Infinity;
      this.whenClosed?.();
      this.log.closed(this, code);
      onClose(this);
      closed(code, reason.toString()).catch((err: unknown) => {
        logger.error({ err }, 'a socket did not end cleanly');
      });
    });
  }

  /** Operations that work is done for, one that is just beginning among them. */
  get underWay(): number {
    return this.ids.underWay;
  }

  get protocol(): string {
    return this.ws.protocol;
  }

  /** The core's way to close it, and everybody else's. */
  close(code: number, reason: string): void {
    this.ws.close(code, fittingReason(reason));
  }

  /** How the core hears of messages. */
  onMessage(receive: (text: string) => Promise<void>): void {
    this.receive = receive;
  }

  /** Sends the answers of a subscription; what comes back tells graphql-ws's core of its end. */
  operation(events: LiveEvents, id: string): SocketOperation {
    return new SocketOperation(events, this.lane, id);
  }

  /** Takes the viewer's rights over, or on with a fresh token, and gives them up when it runs out. */
  authenticate(viewer: Viewer): void {
    this.viewer = viewer;
    this.dueAt = viewer.tokenEndsAt;
  }

  /** ConnectionInit is here. As long as it brings no viewer, it may not stay for good. */
  began(): void {
    this.begunAt = performance.now();
    this.used();
  }

  /** While it is signed out. */
  private used(): void {
    this.dueAt = Math.min(performance.now() + limits.signedOutIdleMs, this.begunAt + limits.signedOutMs);
  }

  due(): void {
    if (this.viewer !== undefined) this.end(CLOSE.FORBIDDEN);
    else if (this.begunAt === Infinity) this.end(CLOSE.NO_INIT);
    else if (this.underWay > 0 && performance.now() < this.begunAt + limits.signedOutMs) this.used();
    else this.giveWay();
  }

  /** Others need its place. */
  giveWay(): void {
    this.end(CLOSE.TRY_LATER);
    this.goSoon();
  }

  /** Instead of `open`: it is not let in. */
  turnAway(): void {
    this.heartbeats.delete(this, this.place);
    // Whatever else it does meanwhile ends with it.
    this.ws.on('error', () => undefined);
    this.giveWay();
  }

  expire(): void {
    this.end(CLOSE.FORBIDDEN);
  }

  restart(): void {
    this.end(CLOSE.RESTART);
    this.goSoon();
  }

  /** One that reads nothing does not answer a close either, and must not hold up the stop, or keep its place. */
  private goSoon(): void {
    setTimeout(() => this.ws.terminate(), FAREWELL_MS).unref();
  }

  private end({ code, reason }: Close): void {
    this.ws.close(code, reason);
  }

  private take(text: string): void {
    if (!this.isOpen) return;
    this.holdBack();
    const message = parsed(text);
    const envelope = envelopeOf(message);
    if (envelope.type !== 'subscribe') this.inbox.count();
    if (FROM_SERVER.has(envelope.type)) {
      this.end(CLOSE.BAD_MESSAGE);
    } else if (isOfOperation(envelope)) {
      if (envelope.type === 'subscribe') {
        tidyPayload(envelope);
        this.inbox.add(envelope);
      } else if (envelope.type !== 'complete' || !this.inbox.complete(envelope.id)) this.begin(envelope);
    } else {
      // What is no JSON the core refuses itself. It sends back what a ping brings, which may nest deeper than can be written.
      this.handOn(message ?? text).catch((err: unknown) => {
        if (err instanceof RangeError) this.end(CLOSE.BAD_MESSAGE);
        else this.failed(err);
      });
    }
  }

  /** Hands on a message whose turn it is. */
  begin(message: OperationMessage): void {
    if (this.viewer === undefined && this.begunAt !== Infinity) this.used();
    if (!this.ids.take(message)) this.end(CLOSE.TRY_LATER);
  }

  /** Whether the client has completed an operation that is just beginning: then nothing of it is executed. */
  isCompleted(id: string): boolean {
    return this.ids.isCompleted(id);
  }

  pause(): void {
    this.ws.pause();
  }

  /** Once nothing holds it back any more: what it asked for is read, and what it sent is worked off. */
  resume(): void {
    if (this.inbox.holdsBack) return;
    if (!this.lane.isReady) {
      void this.lane.ready().then(() => this.resume());
      return;
    }
    // What the client answered before was not read.
    this.pulse.answered = true;
    this.ws.resume();
  }

  /** Once it is being closed nothing more is done for it, whether the client knows yet or not. */
  get isOpen(): boolean {
    return this.ws.readyState === this.ws.OPEN;
  }

  /** Gives the core a message, parsed already: it keeps what it is given for as long as an operation lasts. */
  handOn(message: unknown): Promise<void> {
    return this.isOpen ? this.receive(message as string) : Promise.resolve();
  }

  failed(err: unknown): void {
    if (!this.isOpen) return;
    this.logger.error({ err }, 'a socket message failed');
    this.end(isUnavailable(err) ? CLOSE.TRY_LATER : CLOSE.INTERNAL);
  }

  /**
   * Resolves when the system has taken the message: so a socket that is not drained stops its subscribers' reading. One that can
   * take no more is not the operation's failure: it waits for the close, which ends the operation.
   */
  send(text: string): Promise<void> {
    const envelope = envelopeOf(parsed(text));
    const { type } = envelope;
    if ((type === 'complete' || type === 'error') && isOfOperation(envelope)) this.ids.completed(envelope.id);
    const sent = isTooLarge(text)
      ? `{"id":${JSON.stringify(envelope.id)},"type":"next","payload":${refusedAnswer()}}`
      : text;
    return new Promise((resolve) => {
      this.lane.send(sent, (err) => resolve(err == null ? undefined : this.goneBy()));
    });
  }

  /** Resolves when it is closed. */
  private goneBy(): Promise<void> | undefined {
    if (this.ws.readyState === this.ws.CLOSED) return undefined;
    this.closed ??= new Promise((resolve) => {
      this.whenClosed = resolve;
    });
    return this.closed;
  }

  /** One that does not read what it asked for is not listened to meanwhile, or it could ask for more than memory holds. */
  private holdBack(): void {
    if (this.ws.isPaused || this.lane.isReady) return;
    this.ws.pause();
    void this.lane.ready().then(() => this.resume());
  }

  beat(): void {
    this.pulse.beat();
  }
}

const textOf = (data: RawData): string =>
  (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString();

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The type and id of a message, as far as it has them; what is no message at all is left to the core to refuse. */
interface Envelope {
  readonly type?: unknown;
  readonly id?: unknown;
}

const envelopeOf = (message: unknown): Envelope =>
  message !== null && typeof message === 'object' ? message : {};

const isOfOperation = (envelope: Envelope): envelope is OperationMessage => typeof envelope.id === 'string';

const isUnavailable = (err: unknown): boolean =>
  isOutage(err) || (err instanceof ParleyError && err.code === 'UNAVAILABLE');
