/** All in milliseconds. */
export interface PeerTimings {
  /** From dialling to HELLO. */
  readonly helloMs: number;
  /** A link on which nothing answers for so long is given up. */
  readonly silentMs: number;
  /** Pause before an address is dialled again: doubles from the first to the longest, less up to half of it. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Pause after somebody answered who is no peer of ours. */
  readonly refusedPauseMs: number;
  /** Pause after our own address; nothing shortens it. */
  readonly selfPauseMs: number;
  /** Between two looks at DNS. */
  readonly resolveMs: number;
  /** Between two times that an unknown instance makes us look and dial. */
  readonly heardOfMs: number;
}

export const defaultTimings: PeerTimings = {
  helloMs: 5000,
  silentMs: 2000,
  firstPauseMs: 100,
  longestPauseMs: 5000,
  refusedPauseMs: 30_000,
  selfPauseMs: 60_000,
  resolveMs: 5000,
  heardOfMs: 1000,
};
