import type { TakenPort } from '../config/listen-error.ts';
import type { SettingTable } from '../config/setting.ts';
import type { BlockPages } from '../engine/block-page.ts';
import type { Inspector } from '../engine/inspector.ts';
import type { DoorTraits } from '../engine/transaction-view.ts';
import type { Logger } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { JobHandler, JobTaker } from '../workers/jobs.ts';

/*
 * What a front door is to the process. A door has two sides. The I/O side owns its sockets, in the thread that owns all
 * sockets; it gives jobs to the engines, as bytes. The engine side, one in each engine thread, turns these bytes into
 * calls of the engine and its verdicts into the bytes of the answer. docs/doors.md shows how to write one.
 */

/** The I/O side, as the process opens and closes it. */
export interface Door {
  /**
   * Resolves with where it listens, for instance `127.0.0.1:3000`. Rejects with StartError, naming setting, address and
   * remedy.
   */
  listen(): Promise<string>;
  /** Leaves without losing anything, by the door's own rules; resolves by `deadlineMs`, whatever is still open. */
  drain(graceMs: number, deadlineMs: number): Promise<void>;
  /** SIGHUP: reads again what can change while the process runs. What is wrong is logged, and the last good stays. */
  reload?(): void;
}

/** What the process gives to the I/O side of a door. */
export interface DoorServices {
  readonly jobs: JobTaker;
  /** Names this process among its peers: 16 hexadecimal digits, new at each start. */
  readonly instance: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Ports on which the process listens already. */
  readonly takenPorts: readonly TakenPort[];
  /** Transactions that wait for a message, in all engines. */
  liveTransactions(): number;
}

/** What an engine has for the engine side of a door. */
export interface HandlerServices {
  /** The engine, for transactions of this door. */
  readonly inspector: Inspector;
  readonly pages: BlockPages;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Where transactions of this engine live. */
  readonly owner: { readonly instance: string; readonly thread: number };
  /** How long to wait for the next message of a transaction, in milliseconds, where the door does not know it. */
  readonly transactionTimeoutMs: number;
}

/** `door.ts` of a door. */
export interface DoorModule<C> {
  /** @throws StartError when what a setting names cannot be used. */
  createDoor(config: C, services: DoorServices): Door;
}

/** `handler.ts` of a door. */
export interface HandlerModule<C> {
  createHandler(config: C, services: HandlerServices): JobHandler;
}

/** A row of src/doors.ts. It is read by every command: what costs time to import is imported by `load` and `loadHandler`. */
export interface DoorDefinition<C> {
  /** What the door is good for, in one sentence: `--help` shows it. */
  readonly summary: string;
  /** The command that opens this door alone. */
  readonly command: string;
  readonly settings: SettingTable;
  /** What the engine has to know of it. */
  traits(config: C): DoorTraits;
  /** Names of its messages, as metrics show them. */
  readonly messages: readonly string[];
  load(): Promise<DoorModule<C>>;
  loadHandler(): Promise<HandlerModule<C>>;
}
