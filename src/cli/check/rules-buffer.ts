import { type Addition, additionsOf, type Direction, totalBytes } from './added-headers.ts';
import { bufferBytes, defaultRewriteBytes, rewriteBytes } from './buffer.ts';
import { backendsOf, lineageOf, modeOf } from './inherit.ts';
import type { Section } from './parse.ts';
import type { Rule } from './rule.ts';
import { protectedOf, type Setup } from './setup.ts';

/** Bytes that a message needs for its arguments, besides the head or body, with application names of usual length. */
const argumentsBytes = 512;

/** The largest head that HAProxy accepts by default. */
const usualHeadBytes = 15_360;

/** With this much room, only a deliberate client makes a copied value too long. */
const easyRoomBytes = 4_096;

/** Rules about the room in HAProxy's buffer. */
export const bufferRules: readonly Rule[] = [
  {
    id: 'rewriting-room',
    severity: 'warning',
    why: 'while HAProxy waits for a body or for the agent, the rest of the buffer fills up; a header that no longer fits causes a 500',
    remedy: 'raise tune.maxrewrite and tune.bufsize by the same amount (docs/haproxy.md, "The buffer")',
    *find(setup) {
      const { bytes: room } = rewriteBytes(setup);
      for (const { additions, direction } of heads(setup)) {
        const needed = totalBytes(additions);
        const [largest] = additions.toSorted((one, other) => other.bytes - one.bytes);
        if (largest === undefined || needed <= room) continue;
        yield {
          line: largest.line,
          what: `rules add about ${needed} bytes to a ${direction} ('${largest.name}' alone ${largest.bytes}), but tune.maxrewrite reserves only ${room}`,
        };
      }
    },
  },
  {
    id: 'rewriting-copies',
    severity: 'hint',
    why: 'the client controls the length of the copy; if it does not fit, the client gets a 500',
    remedy: 'raise tune.maxrewrite and tune.bufsize by the same amount, as global-config.cfg does',
    *find(setup) {
      const { bytes: room } = rewriteBytes(setup);
      if (room >= easyRoomBytes) return;
      for (const { additions } of heads(setup)) {
        for (const { line, name, copies } of additions) {
          if (copies.length === 0) continue;
          yield {
            line,
            what: `'${name}' copies ${copies.join(', ')}, and tune.maxrewrite reserves only ${room}`,
          };
        }
      }
    },
  },
  {
    id: 'small-maxrewrite',
    severity: 'error',
    why: 'a head that fills the rest of the buffer does not fit into a message with its arguments, and is not inspected',
    remedy: `remove the line, or set it to at least ${argumentsBytes}`,
    *find(setup) {
      const { line, bytes } = rewriteBytes(setup);
      if (line === undefined || bytes >= argumentsBytes || protectedOf(setup).length === 0) return;
      yield { line, what: `tune.maxrewrite is ${bytes}` };
    },
  },
  {
    id: 'small-head-room',
    severity: 'warning',
    why: 'larger heads, for example with many cookies, are rejected with 400 or 431, and less of each body is inspected',
    remedy: 'raise tune.bufsize by the amount that tune.maxrewrite exceeds 1024, or remove your own line',
    *find(setup) {
      const [buffer, rewrite] = [bufferBytes(setup), rewriteBytes(setup)];
      const headBytes = buffer.bytes - rewrite.bytes;
      const line = buffer.line ?? rewrite.line;
      if (line === undefined || rewrite.bytes <= defaultRewriteBytes || headBytes >= usualHeadBytes) return;
      yield {
        line,
        what: `tune.bufsize ${buffer.bytes} minus tune.maxrewrite ${rewrite.bytes} leaves ${headBytes} bytes for a head`,
      };
    },
  },
];

interface Head {
  readonly direction: Direction;
  readonly additions: readonly Addition[];
}

/** What becomes of the heads of each protected frontend, in the backend of its that adds the most. */
function* heads(setup: Setup): Iterable<Head> {
  for (const { section } of protectedOf(setup)) {
    const ways = [[section], ...httpBackendsOf(setup, section).map((backend) => [section, backend])];
    for (const direction of ['request', 'response'] as const) {
      const [most] = ways
        .map((way) => withDefaults(way).flatMap((each) => additionsOf(each, direction)))
        .toSorted((one, other) => totalBytes(other) - totalBytes(one));
      if (most !== undefined) yield { direction, additions: most };
    }
  }
}

/** Once each: rules of defaults that frontend and backend share are evaluated once. */
function withDefaults(way: readonly Section[]): Section[] {
  return [...new Set(way.flatMap((section) => lineageOf(section).reverse()))];
}

function httpBackendsOf({ configuration }: Setup, frontend: Section): Section[] {
  return backendsOf(frontend, configuration).filter(
    (section) => section !== frontend && modeOf(section) === 'http',
  );
}
