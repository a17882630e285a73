import { type Analysis, type Deferred, type Inspected, isBlocking } from '../../engine/analysis.ts';
import { type Identity, markedIdentity, type Owner } from './identity.ts';
import { markOf, type Standing, standingOf, worseStanding } from './standing.ts';

/** What the messages of one NOTIFY have come to so far: one answer is given for all of them. */
export class NotifyOutcome {
  /** Of all messages so far, and of what HAProxy brought along. */
  #standing: Standing = 'pass';
  #known: Identity | undefined;
  #analysis: Inspected | Deferred | undefined;
  /** Which body may follow the last message. */
  bodyOf: 'request' | 'response' | undefined;
  /** HAProxy has no identity of this transaction yet, or one that names another owner. */
  announcesIdentity = false;
  /** The request is on its way to the origin and can take trace headers along. */
  propagates = false;

  get standing(): Standing {
    return this.#standing;
  }

  /** The first identity that HAProxy brought along. */
  get known(): Identity | undefined {
    return this.#known;
  }

  /** Of the last message that had one. */
  get analysis(): Inspected | Deferred | undefined {
    return this.#analysis;
  }

  /** The transaction so far; the later messages of a NOTIFY belong to it, although HAProxy cannot name it yet. */
  get transactionId(): string | undefined {
    return this.#analysis?.transaction.id;
  }

  /** A block has ended the transaction; what follows in this NOTIFY would begin another and hide the verdict. */
  get isBlocked(): boolean {
    return this.#analysis?.kind === 'inspected' && isBlocking(this.#analysis.verdict);
  }

  /** A message brought this identity along, or none. */
  identified(identity: Identity | undefined): void {
    this.#known ??= identity;
    if (identity?.mark !== undefined) this.#worsen(identity.mark);
  }

  /** A message was not inspected, because of an internal error. */
  failed(): void {
    this.#worsen('error');
  }

  /** A message was analysed. */
  concluded(analysis: Analysis): void {
    if (analysis.kind === 'uninspected') {
      // Inspection was switched off in the middle of a transaction.
      if (this.#known !== undefined) this.#worsen('partial');
      return;
    }
    this.#analysis = analysis;
    this.#worsen(standingOf(analysis));
  }

  /**
   * The identity that HAProxy is to keep; undefined when it has it already. A deferred analysis has nothing to mark it
   * with.
   */
  identityOf({ transaction }: Inspected | Deferred, owner: Owner | undefined): string | undefined {
    const mark = this.#known?.mark;
    if (!this.announcesIdentity && markOf(this.#standing) === mark) return undefined;
    const traceId = owner === undefined ? undefined : transaction.traceId;
    return markedIdentity({ spanId: transaction.id, traceId, owner, mark }, this.#standing);
  }

  #worsen(standing: Standing): void {
    this.#standing = worseStanding(this.#standing, standing);
  }
}
