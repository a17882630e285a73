import { expect } from 'vitest';
import type { DoorDriver, Headers } from './door-driver.ts';

/** For a busy machine: nothing here is about how long something takes. */
export const patience = { timeout: 15_000, interval: 20 } as const;

/** The sum of the series of a metric, named without its prefix, that have these labels. */
function sumOf(text: string, name: string, labels: Headers): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split('\n')
    .filter((line) => /^[^#{ ]+/.exec(line)?.[0] === `appsec_edge_${name}`)
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** What the metrics of one door counted since it was opened. */
export class Ledger {
  readonly #driver: DoorDriver;
  readonly #before: string;

  private constructor(driver: DoorDriver, before: string) {
    this.#driver = driver;
    this.#before = before;
  }

  /** Once nothing is under way: what an earlier test sent may be analysed after it was answered. */
  static async open(driver: DoorDriver): Promise<Ledger> {
    await new Ledger(driver, '').expectNoneLeft();
    return new Ledger(driver, await driver.metricsText());
  }

  /** @param name of a counter; it has the label `door`. */
  async count(name: string, labels: Headers = {}): Promise<number> {
    const mine = { ...labels, door: this.#driver.door };
    return sumOf(await this.#driver.metricsText(), name, mine) - sumOf(this.#before, name, mine);
  }

  async live(): Promise<number> {
    return sumOf(await this.#driver.metricsText(), 'transactions_live', {});
  }

  /** Resolves when so many have begun, whether they are over or not. */
  async expectBegun(count: number): Promise<void> {
    const begun = async (): Promise<number> => (await this.live()) + (await this.count('transactions_total'));
    await expect.poll(begun, patience).toBe(count);
  }

  /** So many have ended, no more will, and none is left. */
  async expectEnded(count: number, byReason: Readonly<Record<string, number>> = {}): Promise<void> {
    await expect.poll(() => this.count('transactions_total'), patience).toBe(count);
    await this.expectNoneLeft();
    for (const [reason, wanted] of Object.entries(byReason))
      expect([reason, await this.count('transactions_total', { reason })]).toEqual([reason, wanted]);
    expect(await this.count('transactions_total')).toBe(count);
    expect(await this.count('verdicts_total')).toBe(count);
  }

  async expectNoneLeft(patient: { readonly timeout: number } = patience): Promise<void> {
    await expect.poll(() => this.live(), { ...patience, ...patient }).toBe(0);
  }
}
