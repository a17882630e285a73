// What a part found, and how the table shows it.
import { styleText } from 'node:util';

export interface Row {
  readonly label: string;
  /** One a column of its section. */
  readonly cells: readonly string[];
  /** What the project has set itself, beside the value and without a judgement. */
  readonly target?: string;
}

export interface Section {
  readonly title: string;
  /** Heads of the columns; empty: there is one without a head. */
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
  /** For the JSON file: the same and more, as numbers. */
  readonly figures: unknown;
}

const labelWidth = 58;
const cellWidth = 16;

export function printSection(section: Section): void {
  const lines = [
    '',
    `${styleText('bold', section.title.padEnd(labelWidth))}${section.columns.map((head) => head.padStart(cellWidth)).join('')}`,
    ...section.rows.map(({ label, cells, target }) => {
      const values = cells.map((cell) => cell.padStart(cellWidth)).join('');
      return `  ${label.padEnd(labelWidth - 2)}${values}${target === undefined ? '' : styleText('dim', `   target ${target}`)}`;
    }),
    ...section.notes.map((note) => styleText('dim', `  ${note}`)),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Thousands apart, no decimals: 12,345. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Two decimals below 10, one below 100, none above. */
export function figure(value: number, unit = ''): string {
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  const text = digits === 0 ? whole(value) : value.toFixed(digits);
  return unit === '' ? text : `${text} ${unit}`;
}
