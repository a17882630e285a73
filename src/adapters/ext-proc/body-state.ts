import type { Application, BodyChunk, HeaderList } from '../../engine/http.ts';
import { type BodyNature, type BodyPlan, planBody } from './body-plan.ts';
import { declaredLength } from './heads.ts';
import { BodyMode } from './wire/fields.ts';

const empty = new Uint8Array(0);

/** The body of one direction of a stream: how it comes, and how far it has come. */
export class BodyState {
  /** The mode that Envoy is configured with; undefined: it does not say. */
  readonly #configured: number | undefined;
  #mode: number | undefined;
  #nature: BodyNature = 'whole';
  #declaredSize: number | undefined;
  #receivedBytes = 0;
  #complete = false;
  #open = false;
  /** It was asked for, and nothing of it has come yet. */
  awaited = false;

  constructor(configured: number | undefined) {
    this.#configured = configured;
    this.#mode = configured === BodyMode.none ? undefined : configured;
  }

  get isOpaque(): boolean {
    return this.#nature === 'opaque';
  }

  /** Whatever is to go on has to be sent back, and until then everything is held, the headers too. */
  get isDuplex(): boolean {
    return this.#mode === BodyMode.fullDuplexStreamed;
  }

  /** It comes in one message, whole or cut, and the headers wait for the answer to it. */
  get isHeld(): boolean {
    return this.#mode === BodyMode.buffered || this.#mode === BodyMode.bufferedPartial;
  }

  /** Pieces of it came, and not the last one. */
  get isOpen(): boolean {
    return this.#open;
  }

  describe(received: HeaderList, nature: BodyNature): void {
    this.#nature = nature;
    this.#declaredSize = declaredLength(received);
  }

  /** How it is to come, once its headers were looked at. */
  expect(wanted: boolean, blocks: boolean): BodyPlan {
    const plan = planBody(wanted, this.#nature, this.#configured, blocks);
    this.#mode = plan.mode;
    this.awaited = plan.expected && plan.override !== undefined;
    return plan;
  }

  /** As `expect`, where Envoy does what it is configured for, and does not say what that is. */
  expectUnasked(wanted: boolean): BodyPlan {
    return { expected: wanted && !this.isOpaque, override: undefined, mode: this.#mode };
  }

  /** All that was announced has come: what comes now is its end, or another body. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** A message with a piece of it. @param end nothing follows the piece */
  take(bytes: Uint8Array, end: boolean, application: Application): BodyChunk {
    this.awaited = false;
    this.#receivedBytes += bytes.length;
    const declared = this.#declaredSize ?? 0;
    // A client may keep back the end of the stream for as long as it likes; the origin knows by the length that it has all.
    this.#complete = end || (declared > 0 && this.#receivedBytes >= declared);
    const isLast = this.#complete || this.isHeld;
    this.#open = !isLast;
    // Where the end is missing there is more than this, whatever the headers said.
    const leastSize = isLast && !this.#complete ? this.#receivedBytes + 1 : 0;
    const declaredSize = Math.max(declared, leastSize) || undefined;
    return { bytes, declaredSize, application, endOfStream: isLast };
  }

  /** The last piece of a body whose end nobody announced; undefined when none is open. */
  close(application: Application): BodyChunk | undefined {
    if (!this.#open) return undefined;
    this.#open = false;
    return { bytes: empty, declaredSize: undefined, application, endOfStream: true };
  }

  /** No more of it is looked at. */
  giveUp(): void {
    this.#open = false;
  }
}
