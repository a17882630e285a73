import type { Transaction } from './transaction.ts';
import type { TransactionView } from './transaction-view.ts';

interface Entry {
  readonly transaction: Transaction;
  readonly timer: NodeJS.Timeout;
  readonly bodyBytes: number;
}

/** setTimeout takes a signed 32-bit number of milliseconds: about 24 days. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * The live transactions by id. Bounded in number and in the bodies they keep: what goes beyond a bound ends the oldest,
 * so that clients who never finish cannot fill the memory.
 */
export class TransactionStore {
  /** By identity and door: see `keyOf`. */
  readonly #entries = new Map<string, Entry>();
  readonly #maxEntries: number;
  readonly #maxBodyBytes: number;
  readonly #countByDoor = new Map<string, number>();
  #bodyBytes = 0;

  constructor(maxEntries: number, maxBodyBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBodyBytes = maxBodyBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Of the door of this name. */
  countOf(door: string): number {
    return this.#countByDoor.get(door) ?? 0;
  }

  /** Of the door of this name: an identity means nothing at another one. */
  find(door: string, id: string): Transaction | undefined {
    return this.#entries.get(keyOf(door, id))?.transaction;
  }

  add(transaction: Transaction, timeToLiveMs: number): void {
    const timer = setTimeout(() => transaction.end('expired'), Math.min(timeToLiveMs, maxTimerMs));
    timer.unref();
    const former = this.#entryOf(transaction);
    if (former !== undefined) this.remove(former.transaction);
    this.#set(transaction, { transaction, timer, bodyBytes: 0 });
    this.#count(transaction, 1);
    if (this.#entries.size > this.#maxEntries) this.#oldest()?.end('evicted');
  }

  /** Starts its time to live again. No effect once it has ended. */
  renew(transaction: Transaction, timeToLiveMs: number): void {
    const entry = this.#entryOf(transaction);
    if (entry?.transaction !== transaction) return;
    clearTimeout(entry.timer);
    const timer = setTimeout(() => transaction.end('expired'), Math.min(timeToLiveMs, maxTimerMs));
    timer.unref();
    this.#set(transaction, { ...entry, timer });
  }

  /** A body of so many bytes is kept with it from now on. */
  keepBody(transaction: Transaction, bytes: number): void {
    const entry = this.#entryOf(transaction);
    if (entry?.transaction !== transaction) return;
    this.#set(transaction, { ...entry, bodyBytes: entry.bodyBytes + bytes });
    this.#bodyBytes += bytes;
    for (let oldest = this.#oldest(); this.#bodyBytes > this.#maxBodyBytes; oldest = this.#oldest()) {
      if (oldest === undefined || oldest === transaction) break;
      oldest.end('evicted');
    }
  }

  /** Called when the transaction ends. */
  remove(transaction: TransactionView): void {
    const entry = this.#entryOf(transaction);
    if (entry?.transaction !== transaction) return;
    clearTimeout(entry.timer);
    this.#bodyBytes -= entry.bodyBytes;
    this.#entries.delete(keyOf(transaction.door.name, transaction.id));
    this.#count(transaction, -1);
  }

  all(): Transaction[] {
    return [...this.#entries.values()].map((entry) => entry.transaction);
  }

  #entryOf({ door, id }: TransactionView): Entry | undefined {
    return this.#entries.get(keyOf(door.name, id));
  }

  #set({ door, id }: TransactionView, entry: Entry): void {
    this.#entries.set(keyOf(door.name, id), entry);
  }

  #count({ door }: TransactionView, step: 1 | -1): void {
    this.#countByDoor.set(door.name, this.countOf(door.name) + step);
  }

  /** Maps keep the order of insertion. */
  #oldest(): Transaction | undefined {
    for (const entry of this.#entries.values()) return entry.transaction;
    return undefined;
  }
}

function keyOf(door: string, id: string): string {
  return `${id} ${door}`;
}
