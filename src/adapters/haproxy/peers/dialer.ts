import { describePeerAddress, type PeerAddress } from './address.ts';
import { type LinkHandlers, type LinkOptions, PeerLink } from './link.ts';
import type { LinkEnd, PeerObserver } from './observer.ts';
import type { PeerTimings } from './timings.ts';

/**
 * Keeps one link to one address:
 *
 *     dialling ──► linked
 *        ▲  │        │
 *        │  ▼        ▼
 *        pausing: ever longer, at random up to half shorter, so that agents that lost a peer together do not
 *                 come back together
 *
 * An address that is forgotten is not dialled again, but a link that stands stays until it ends: DNS forgets a
 * process as soon as it drains, and it is still asked then for the transactions that it began.
 */
export class PeerDialer {
  readonly #address: PeerAddress;
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #observer: PeerObserver;
  readonly #timings: PeerTimings;
  #link: PeerLink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isSelf = false;
  #forgotten = false;
  #told: LinkEnd | undefined;

  constructor(address: PeerAddress, options: LinkOptions, handlers: LinkHandlers, observer: PeerObserver) {
    this.#address = address;
    this.#options = options;
    this.#handlers = handlers;
    this.#observer = observer;
    this.#timings = options.timings;
    this.#dial();
  }

  /** True when there is neither a link nor the wish for one. */
  get done(): boolean {
    return this.#forgotten && this.#link === undefined;
  }

  /** Cuts a pause short, but for that after our own address. */
  dialNow(): void {
    if (this.#timer === undefined || this.#isSelf) return;
    clearTimeout(this.#timer);
    this.#dial();
  }

  forget(): void {
    this.#forgotten = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // An attempt without result is given up; see above for a link that stands.
    if (this.#link?.instance === undefined) this.#link?.stop();
  }

  /** DNS names the address again. */
  remember(): void {
    if (!this.#forgotten) return;
    this.#forgotten = false;
    if (this.#link === undefined) this.#dial();
  }

  stop(): void {
    this.forget();
    this.#link?.stop();
  }

  #dial(): void {
    this.#timer = undefined;
    this.#link = new PeerLink(this.#address, this.#options, {
      opened: (link) => {
        this.#told = undefined;
        this.#handlers.opened(link);
        this.#observer.linked?.(describePeerAddress(this.#address), link.instance ?? '');
      },
      ended: (link, why, detail) => {
        this.#link = undefined;
        if (!this.#forgotten) this.#pause(why, link.instance !== undefined);
        this.#handlers.ended(link, why, detail);
        this.#tell(link.instance, why, detail);
      },
    });
  }

  #tell(instance: string | undefined, why: LinkEnd, detail: string): void {
    const address = describePeerAddress(this.#address);
    if (instance !== undefined) {
      this.#observer.unlinked?.(address, instance, why, detail);
    } else if (why !== 'self' && why !== 'stopped' && why !== this.#told) {
      this.#told = why;
      this.#observer.notLinked?.(address, why, detail);
    }
  }

  #pause(why: LinkEnd, wasLinked: boolean): void {
    this.#isSelf = why === 'self';
    // A peer that ends one good link after the other is dialled at the first pause again and again: that is a pace
    // that both sides can keep up, and a restarted process is found at once.
    this.#failures = wasLinked ? 0 : this.#failures + 1;
    const { firstPauseMs, longestPauseMs, refusedPauseMs, selfPauseMs } = this.#timings;
    const refused = why === 'not-a-peer' || why === 'wrong-secret';
    const pauseMs = this.#isSelf
      ? selfPauseMs
      : refused
        ? refusedPauseMs
        : Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#failures, 20));
    this.#timer = setTimeout(() => this.#dial(), pauseMs * (1 - Math.random() / 2)).unref();
  }
}
