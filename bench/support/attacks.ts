// The two percent. Each is found by the ruleset that is built in (`reported`: the daemon blocks nothing by default).
import type { HttpTransaction, Random } from './http-transactions.ts';

/** One of them, in turn by chance. */
export function attack(random: Random, page: HttpTransaction, call: HttpTransaction): HttpTransaction {
  const kinds: readonly HttpTransaction[] = [
    { ...page, target: `/catalog?id=1%27%20UNION%20SELECT%20username%2Cpassword%20FROM%20users--%20` },
    { ...page, target: `/search?q=%3Cscript%3Ealert(document.cookie)%3C%2Fscript%3E` },
    { ...page, target: '/download?file=../../../../../../etc/passwd' },
    { ...page, headers: withUserAgent(page, 'sqlmap/1.7.2#stable (https://sqlmap.org)') },
    { ...call, body: JSON.stringify({ filter: "x' OR 1=1; DROP TABLE orders--" }) },
  ];
  return kinds[random.below(kinds.length)] ?? page;
}

function withUserAgent({ headers }: HttpTransaction, agent: string): HttpTransaction['headers'] {
  return headers.map(([name, value]) => [name, name === 'user-agent' ? agent : value]);
}
