import type { TakenPort } from '../config/listen-error.ts';
import type { SettingTable } from '../config/setting.ts';
import type { BlockPages } from '../engine/block-page.ts';
import type { Inspector } from '../engine/inspector.ts';
import type { DoorTraits } from '../engine/transaction-view.ts';
import type { DoorMetrics } from '../ops/door-metrics.ts';
import type { Logger } from '../ops/log.ts';
import type { Dispatcher } from '../workers/dispatcher.ts';
import type { JobHandler } from '../workers/jobs.ts';
import type { ProcessConfig } from './process-settings.ts';

/*
 * What a front door is to the process. A door has two sides. The I/O side owns its sockets, in the thread that owns all
 * sockets; it gives jobs to the engines, as bytes. The engine side, one in each engine thread, turns these bytes into
 * calls of the engine and its verdicts into the bytes of the answer. docs/doors.md shows how to write one.
 */

/** Where a door listens, as the log shows it. */
export interface Listening {
  /** For instance `127.0.0.1:3000`; several are separated by commas. */
  readonly address: string;
  readonly tls: boolean;
}

/** The I/O side, as the process opens and closes it. */
export interface Door {
  /** Rejects with StartError, naming setting, address and remedy. */
  listen(): Promise<Listening>;
  /** Leaves without losing anything, by the door's own rules; resolves by `deadlineMs`, whatever is still open. */
  drain(graceMs: number, deadlineMs: number): Promise<void>;
  /** SIGHUP: reloads what can change at run time. Errors are logged, and the last good state stays in effect. */
  reload?(): void;
}

/** What the process gives to the I/O side of a door. */
export interface DoorServices {
  /** The engines, for jobs of this door. */
  readonly engines: Dispatcher;
  /** Names this process among its peers: 16 hexadecimal digits, new at each start. */
  readonly instance: string;
  readonly logger: Logger;
  readonly metrics: DoorMetrics;
  /** Ports on which the process listens already. */
  readonly takenPorts: readonly TakenPort[];
}

/** What an engine has for the engine side of a door. */
export interface HandlerServices {
  /** The engine, for transactions of this door. */
  readonly inspector: Inspector;
  readonly pages: BlockPages;
  readonly logger: Logger;
  readonly metrics: DoorMetrics;
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

export interface HealthHost {
  readonly host: string;
  readonly variable: string;
}

export type ProcessSettingName = keyof ProcessConfig;

/** A row of src/doors.ts. It is read by every command: what costs time to import is imported by `load` and `loadHandler`. */
export interface DoorDefinition<C> {
  /** What the door is good for, in one sentence: `--help` shows it. */
  readonly summary: string;
  /** The command that opens this door alone. */
  readonly command: string;
  readonly settings: SettingTable;
  /** Names that settings of the process have in the documents about this door; they are read whatever doors are open. */
  readonly processAliases?: Readonly<Partial<Record<ProcessSettingName, string>>>;
  /** What settings of the process are where this door alone is open and nothing says otherwise. */
  readonly processDefaults?: Readonly<Partial<Record<ProcessSettingName, string>>>;
  /** The host that the health port listens on, where no setting of the process says it, and the variable it is from. */
  healthHost(config: C): HealthHost;
  /**
   * Of the operator's block pages, for a door that has a limit of its own.
   * @throws StartError naming the setting, the sizes and the remedy.
   */
  checkBlockPages?(config: C, largestPageBytes: number): void;
  /** What the engine has to know of it. */
  traits(config: C): DoorTraits;
  /**
   * The door has answered before it asks an engine, and its jobs take the time they need. Other doors that only report
   * are answered by their engine, before the analysis.
   */
  readonly nobodyWaits?: boolean;
  /** Names of its messages, as metrics show them. */
  readonly messages: readonly string[];
  load(): Promise<DoorModule<C>>;
  loadHandler(): Promise<HandlerModule<C>>;
}
