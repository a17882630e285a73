import { parseArgs } from 'node:util';

/** The parts by the letters of the table. */
export const partLetters = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'] as const;
export type PartLetter = (typeof partLetters)[number];

export interface Options {
  readonly only: readonly PartLetter[];
  readonly jsonFile: string;
  /** Part e does its whole million of transactions, which takes minutes. */
  readonly full: boolean;
  readonly tracing: boolean;
}

export const usage = `npm run bench -- [options]
  --only c,d       these parts: ${partLetters.join(', ')}
  --json FILE      where the figures go (bench-results.json)
  --full           part e does a million transactions, whatever time that takes
  --tracing off    the daemon runs with DD_TRACE_ENABLED=false (on: true, and no Datadog Agent in reach)`;

/** @throws with a sentence for the operator */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: partLetters.join(',') },
      json: { type: 'string', default: 'bench-results.json' },
      full: { type: 'boolean', default: false },
      tracing: { type: 'string', default: 'on' },
    },
  });
  if (values.tracing !== 'on' && values.tracing !== 'off') throw new Error('--tracing is on or off');
  const wanted = values.only.split(',').map((letter) => letter.trim());
  const unknown = wanted.find((letter) => !partLetters.some((known) => known === letter));
  if (unknown !== undefined) throw new Error(`there is no part '${unknown}': ${partLetters.join(', ')}`);
  const only = partLetters.filter((letter) => wanted.includes(letter));
  return { only, jsonFile: values.json, full: values.full, tracing: values.tracing === 'on' };
}
