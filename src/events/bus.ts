import { tracing } from '../observability/tracing.js';

/**
 * Carries wake-ups between processes. A message is at most once, in no order that may be relied on, and may be lost whole
 * (Redis down, process killed): it only says where to look, the log holds the truth. So nothing waits for `publish`.
 */
export interface Bus {
  /** Never throws and never blocks; drops the message when the carrier is down. `message` is JSON. */
  publish(topic: string, message: unknown): void;
  /** Resolves once messages published from then on will arrive. */
  subscribe(topic: string, listener: (message: unknown) => void): Promise<BusSubscription>;
  /**
   * Calls `listener` each time after the carrier, or a part of it, was away, once it carries again: whatever was published
   * meanwhile may be lost, on any topic.
   */
  onReconnect(listener: () => void): void;
  /** Rejects when the carrier does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface BusSubscription {
  unsubscribe(): Promise<void>;
}

/** Where wake-ups and typing of one room go. Between the braces is what a Redis Cluster chooses the shard by: a room's is one. */
export const roomTopic = (roomId: string): string => `room:{${roomId}}`;

/** What goes over a room's topic. */
export type RoomSignal =
  | {
      readonly type: 'event';
      readonly seq: number;
      /** The trace of the write; while tracing is on. */
      readonly traceparent?: string | undefined;
    }
  | {
      readonly type: 'typing';
      readonly userId: string;
      readonly typing: boolean;
      readonly expiresAt: number;
    };

/** Says that the room's log has reached `seq`. */
export function wakeRoom(bus: Bus, roomId: string, seq: number): void {
  const topic = roomTopic(roomId);
  const signal: RoomSignal = { type: 'event', seq };
  if (tracing === undefined) bus.publish(topic, signal);
  else tracing.span({ name: `publish ${topic}`, kind: 'producer' }, () => publishTraced(bus, topic, signal));
}

/** The same within the trace that it is part of, so that those who are woken join it. */
const publishTraced = (bus: Bus, topic: string, signal: RoomSignal): void =>
  bus.publish(topic, { ...signal, traceparent: tracing?.current() });

export type TypingSignal = Extract<RoomSignal, { type: 'typing' }>;

/** Ended sign-ins: their sockets are closed everywhere. */
export const SESSIONS_TOPIC = 'sessions';

export interface SessionSignal {
  readonly sessionId: string;
}
