/** One fault under load: a line of the table that `npm run test:faults` prints at its end. */
export interface FaultRow {
  readonly fault: string;
  readonly haproxy: string;
  /** Requests a second over the whole time. */
  readonly rate: number;
  readonly sent: number;
  /** What a client would call an error. */
  readonly failed: number;
  /** Requests of which HAProxy or the agent said that something was not analysed. */
  readonly lost: number;
  /** What was said of them, and how often. */
  readonly why: string;
  /** What is promised of `lost`; `failed` is promised to be 0 unless `mayFail`. */
  readonly promise: 'none lost' | 'some lost' | 'some failed, some lost';
}

export function renderTable(rows: readonly FaultRow[]): string {
  const head = ['fault', 'HAProxy', 'load/s', 'sent', 'failed', 'lost', 'promised', 'why lost'];
  const cells = rows.map((row) => [
    ...[row.fault, row.haproxy, row.rate.toFixed(0), String(row.sent)],
    ...[String(row.failed), String(row.lost), row.promise, row.why],
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => (line[column] ?? '').length)),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return ['', line(head), rule, ...cells.map(line), '', ''].join('\n');
}
