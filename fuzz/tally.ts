/** What was done, for the progress line and the summary. */
export interface Tally {
  sessions: number;
  /** NOTIFYs sent. */
  frames: number;
  bytes: number;
  /** Received and found right. */
  acks: number;
  findings: number;
}

export function newTally(): Tally {
  return { sessions: 0, frames: 0, bytes: 0, acks: 0, findings: 0 };
}

const columns = ['sessions', 'frames', 'bytes', 'acks', 'findings'] as const;

export function summaryTable(tallies: ReadonlyMap<string, Tally>): string {
  const rows = [...tallies].map(([kind, tally]) => [kind, ...columns.map((column) => String(tally[column]))]);
  return [['kind', ...columns.map((column) => (column === 'acks' ? 'ACKs checked' : column))], ...rows]
    .map((row) => row.map((cell, index) => (index === 0 ? cell.padEnd(14) : cell.padStart(14))).join(''))
    .join('\n');
}
