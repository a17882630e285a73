import type { SkipObserver } from './skip-observer.ts';

/** What an engine tells about the messages of a NOTIFY; for logs and metrics. Must not throw. */
export interface MessageObserver {
  message(name: string): void;
  /** Contained: the message is answered all the same. */
  failed(message: string, cause: unknown): void;
  unknownMessage(name: string): void;
  /** An argument was malformed and used as far as it went. */
  malformed(message: string, cause: Error): void;
  /** Once per version. */
  configurationMismatch(theirs: string, ours: string): void;
  /** The operator's block page or a redirect did not fit into a frame; a smaller page, or none, was sent. */
  pageSubstituted(maxActionsBytes: number): void;
  /** Variables that did not fit into the frame. */
  variablesDropped(names: readonly string[]): void;
}

/** All that NotifyHandler tells. */
export interface NotifyObserver extends MessageObserver, SkipObserver {}
