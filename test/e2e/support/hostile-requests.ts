// All ways to slip past inspection that are tried, in the order of the table in docs/security.md.
import { hostileBodies } from './hostile-bodies.ts';
import { hostileCompressed } from './hostile-compressed.ts';
import { hostileCookies } from './hostile-cookies.ts';
import { hostileDocuments } from './hostile-documents.ts';
import { hostileHeaders } from './hostile-headers.ts';
import { hostileHttp2 } from './hostile-http2.ts';
import { hostileForms } from './hostile-multipart.ts';
import { hostileRecommended } from './hostile-recommended.ts';
import type { HostileRequest, Outcome } from './hostile-request.ts';
import { hostileTargets } from './hostile-targets.ts';

export const hostileRequests: readonly HostileRequest[] = [
  ...hostileTargets,
  ...hostileHeaders,
  ...hostileCookies,
  ...hostileBodies,
  ...hostileDocuments,
  ...hostileForms,
  ...hostileCompressed,
  ...hostileHttp2,
  ...hostileRecommended,
];

/** The row of docs/security.md: id, request, what comes of it. */
export function documented({ id, what, outcome, but = {} }: HostileRequest): string {
  const others = Object.entries(but).map(([branch, other]) => `; HAProxy ${branch}: ${words(other)}`);
  return `| \`${id}\` | ${what} | ${words(outcome)}${others.join('')} |`;
}

function words(outcome: Outcome): string {
  if (outcome.kind === 'refused')
    return `refused by HAProxy: ${outcome.status ?? outcome.error ?? 'connection closed'}`;
  if (outcome.kind === 'passes')
    return `**passes**: ${outcome.why}${outcome.partial ? '; marked partial' : ''}`;
  // The rule of the tests stands for any rule that knows the attack.
  const rule = outcome.rule === undefined ? '' : ` by \`${outcome.rule}\``;
  return `found in \`${outcome.address}\`${rule}`;
}
