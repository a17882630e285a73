import type { ReadTime } from '../../net/read-time.ts';
import type { Dispatcher } from '../../workers/dispatcher.ts';
import type { SkipReason } from './contract.ts';
import type { HeldBytes } from './held-bodies.ts';
import type { ObservedBodies } from './observed-bodies.ts';
import type { MessageKind } from './wire/kinds.ts';

/** The engines, as a stream asks them. */
export type Engines = Pick<Dispatcher, 'engineFor' | 'dispatch' | 'skipped'>;

export interface OpenStream {
  /** The process leaves: what is still under way goes on unseen. */
  letGo(): void;
}

/** What all streams of the door share. */
export interface StreamHost {
  readonly engines: Engines;
  /** For messages that wait, and for bodies that are held. */
  readonly memory: HeldBytes;
  /** How long Envoy waits for an answer (`message_timeout`); it does not say so. */
  readonly messageTimeoutMs: number;
  /** How long it may be asked to wait (`max_message_timeout`); undefined: it is not asked. */
  readonly maxMessageTimeoutMs: number | undefined;
  readonly observer: ProcessObserver;
  /** On the clock of the threads. */
  readonly readTime: ReadTime;
  readonly observedBodies: ObservedBodies;
  /** Returns its number, which no other stream of this process has. */
  opened(stream: OpenStream): number;
  closed(stream: OpenStream): void;
}

/** Must not throw. */
export interface ProcessObserver {
  skipped(reason: SkipReason): void;
  /** A message that carries nothing we know, or cannot be read so far: the stream was ended. */
  unknownMessage(): void;
  /** A message that has no place where it came: let through. */
  disorder(kind: MessageKind): void;
}
