/** One connection to the daemon, as it is made up before it is played. */
export interface Session {
  /** For the report of a finding: what was made up. */
  readonly plan: string;
  /** Bytes as they are written, one write each. */
  readonly chunks: readonly Buffer[];
  /**
   * `wait` until everything is answered and then a goodbye; `fin` or `reset` at once, with answers under way; `cut`: wait
   * until everything is answered, then FIN without a goodbye.
   */
  readonly ending: Ending;
  /** Of the one thing that is wrong, by docs/spop.md. */
  readonly wrongStatus?: number;
}

export const endings = ['wait', 'fin', 'reset', 'cut'] as const;
export type Ending = (typeof endings)[number];

/** Something that the daemon must not do. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

/** Enough to play it again. */
export function showSession({ plan, chunks, ending }: Session): string {
  const whole = Buffer.concat(chunks);
  const cuts = chunks.length === whole.length ? 'byte by byte' : `in ${chunks.map(({ length }) => length)}`;
  return `${plan}; then ${ending}; ${whole.length} bytes ${cuts}: ${whole.toString('hex').slice(0, 8_000)}`;
}
