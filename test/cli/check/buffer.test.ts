import { describe, expect, it } from 'vitest';
import { behind, check, type Edit, inGlobal, replace, shipped } from './cases.ts';

/** What the rules about the buffer say, for the shipped files with these edits. */
function said(...edits: readonly Edit[]): string[] {
  const files = shipped();
  for (const edit of edits) edit(files);
  return check(files).map(({ rule, what }) => `${rule}: ${what}`);
}

const haproxysOwn = inGlobal('tune.bufsize 16384\n    tune.maxrewrite 1024');
const inBackend = (lines: string): Edit =>
  replace('main', 'backend origin\n    server origin', `backend origin\n    ${lines}\n    server origin`);
const inDefaults = (line: string): Edit => replace('main', 'mode http\n', `mode http\n    ${line}\n`);
const certificate = 'http-request set-header X-Client-Cert "%[ssl_c_der,base64]"';

describe('the headers that rules add', () => {
  it('fit beside ours when they are a client certificate and its chain', () => {
    expect(
      said(behind(`${certificate}\n    http-request set-header X-Chain %[ssl_c_chain_der,base64]`)),
    ).toEqual([]);
  });

  it("do not fit into HAProxy's own room when one is a client certificate", () => {
    expect(said(haproxysOwn, behind(certificate))).toEqual([
      expect.stringMatching(
        /^rewriting-room: rules add about \d+ bytes to a request .*X-Client-Cert.* reserves only 1024$/,
      ),
    ]);
  });

  it.each<[string, Edit]>([
    ['in the backend', inBackend(certificate)],
    ['in the defaults', inDefaults(certificate)],
    [
      'in pieces',
      behind(
        Array(3)
          .fill(`http-request add-header X-Part ${'p'.repeat(350)}`)
          .join('\n    '),
      ),
    ],
    ['in the target', behind(`http-request set-query ${'q'.repeat(900)}`)],
    ['in the place of another', behind(`http-request replace-header X-Any (.*) ${'r'.repeat(900)}`)],
  ])('of a request are counted %s', (_where, edit) => {
    const ofRoom = said(haproxysOwn, edit).filter((line) => line.startsWith('rewriting-room'));
    expect(ofRoom).toHaveLength(1);
  });

  it.each<[string, Edit]>([
    ['by http-response', behind(`http-response set-header X-Own ${'r'.repeat(1_100)}`)],
    ['by http-after-response', behind(`http-after-response add-header X-Own ${'r'.repeat(1_100)}`)],
    [
      'by a cookie of persistence',
      replace(
        'main',
        'server origin 127.0.0.1:8000',
        `cookie SRV insert\n    server origin 127.0.0.1:8000 cookie ${'k'.repeat(1_000)}`,
      ),
    ],
  ])('of a response are counted %s', (_how, edit) => {
    expect(said(haproxysOwn, edit)).toEqual([expect.stringMatching(/^rewriting-room: .* to a response/)]);
  });

  it("are counted once when they stand in one another's place, and for each direction by itself", () => {
    const one = `http-request set-header X-Own ${'a'.repeat(300)} if { path /a }`;
    const other = `http-request set-header X-Own ${'b'.repeat(300)} unless { path /a }`;
    const response = `http-response set-header X-Own ${'c'.repeat(700)}`;
    expect(said(haproxysOwn, behind(`${one}\n    ${other}\n    ${response}`))).toEqual([]);
  });

  it('are not counted in backends that no protected frontend uses', () => {
    const stranger = `\nbackend stranger\n    ${certificate}\nbackend origin\n`;
    expect(said(haproxysOwn, replace('main', '\nbackend origin\n', stranger))).toEqual([]);
  });

  it('are named when the client decides their length, while there is little room', () => {
    const copy = behind('http-request set-header X-Original-Url %[url]');
    expect(said(copy)).toEqual([]);
    expect(said(haproxysOwn, copy)).toEqual([
      "rewriting-copies: 'set-header X-Original-Url' copies url, and tune.maxrewrite reserves only 1024",
    ]);
  });
});

describe('the sizes of the buffer', () => {
  it("are those of the operator's own file, which is loaded later, and HAProxy's half at most for rewriting", () => {
    expect(said(inGlobal('tune.bufsize 8k'))).toEqual([
      'small-head-room: tune.bufsize 8192 minus tune.maxrewrite 4096 leaves 4096 bytes for a head',
    ]);
  });

  it('are right when both are raised, and when the operator goes back to those of HAProxy', () => {
    expect(said(inGlobal('tune.bufsize 64k\n    tune.maxrewrite 16384'))).toEqual([]);
    expect(said(haproxysOwn)).toEqual([]);
  });

  it('are those of the environment', () => {
    const environment = { DD_SPOA_BUFSIZE: '16384', DD_SPOA_MAXREWRITE: '100' };
    expect(check(shipped(), { environment }).map(({ rule }) => rule)).toContain('small-maxrewrite');
  });
});
