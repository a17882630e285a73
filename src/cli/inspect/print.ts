import { styleText } from 'node:util';
import type { Inspected, InspectReport, Match } from './run.ts';

type Style = Parameters<typeof styleText>[0];
/** Colours a text, or does not. */
export type Paint = (style: Style, text: string) => string;

const plain: Paint = (_style, text) => text;
/** Follows the terminal, NO_COLOR and FORCE_COLOR. */
export const forTerminal: Paint = (style, text) => styleText(style, text, { stream: process.stdout });

/** Values longer than this are shown around what matched. */
const maxValueCharacters = 200;

/** The report as people read it: the verdict first. */
export function printReport(report: InspectReport, paint: Paint = plain): string {
  const { method, host, target } = report.request;
  const lines = [
    `${method} ${host ?? ''}${visible(target)}`,
    `verdict: ${verdictText(report, paint)}`,
    `client:  ${report.client_ip ?? 'unknown'}`,
  ];
  for (const [index, match] of report.matches.entries()) {
    const previous = report.matches[index - 1];
    if (previous?.phase !== match.phase || previous.rule_id !== match.rule_id) {
      lines.push('', ruleText(match, paint));
    }
    lines.push(...whereText(match, paint));
  }
  lines.push('', 'inspected:', ...report.inspected.map(inspectedText));
  if (report.notes.length > 0) lines.push('', 'notes:', ...report.notes.map((note) => `  ${note}`));
  return `${lines.join('\n')}\n`;
}

function verdictText(report: InspectReport, paint: Paint): string {
  const rules = `${report.rule_ids.length} rule${report.rule_ids.length === 1 ? '' : 's'} matched`;
  switch (report.verdict) {
    case 'pass':
      return `${paint('green', 'pass')}: no rule matched`;
    case 'partial':
      return `${paint('yellow', 'partial')}: no rule matched, but not everything was inspected`;
    case 'report':
      return `${paint('yellow', 'report')}: ${rules}, the traffic passes`;
    default: {
      const { status, headers, body } = report.answer ?? { status: 0, headers: [], body: '' };
      const [name, value] = headers[0] ?? ['', ''];
      const page = body === '' ? '' : `, ${Buffer.byteLength(body)} bytes`;
      return `${paint('red', report.verdict)}: ${rules}; the client would get ${status} with ${name}: ${value}${page}`;
    }
  }
}

function ruleText(match: Match, paint: Paint): string {
  const about = [match.type, match.confidence === undefined ? undefined : `confidence ${match.confidence}`];
  const text = about.filter((part) => part !== undefined).join(', ');
  return `${match.phase}: ${paint('bold', match.rule_id)} ${match.rule_name}${text === '' ? '' : ` (${text})`}`;
}

function whereText(match: Match, paint: Paint): string[] {
  const path = match.key_path.map((key) => (/^\d+$/.test(key) ? `[${key}]` : `.${visible(key)}`)).join('');
  const lines = [`  in ${match.address ?? 'an unknown address'}${path}`];
  if (match.value !== undefined) lines.push(`     ${highlighted(match.value, match.highlight, paint)}`);
  const missing = match.highlight.filter((part) => part !== '' && !(match.value ?? '').includes(part));
  if (missing.length > 0)
    lines.push(`     matched ${missing.map((part) => paint('red', visible(part))).join(', ')}`);
  return lines;
}

/** The value with the first thing that matched between »marks«: colours alone do not survive a copy. */
function highlighted(value: string, highlight: readonly string[], paint: Paint): string {
  const part = highlight.find((text) => text !== '' && value.includes(text));
  if (part === undefined) return visible(clipped(value));
  const at = value.indexOf(part);
  const around = Math.max(20, Math.floor((maxValueCharacters - part.length) / 2));
  const before = value.slice(Math.max(0, at - around), at);
  const after = value.slice(at + part.length, at + part.length + around);
  return [
    at > around ? '…' : '',
    visible(before),
    `»${paint(['bold', 'red'], visible(clipped(part)))}«`,
    visible(after),
    at + part.length + around < value.length ? '…' : '',
  ].join('');
}

function inspectedText(entry: Inspected): string {
  const facts = [
    entry.format,
    entry.bytes === undefined ? undefined : `${entry.bytes} bytes`,
    entry.partial ? 'in part' : undefined,
    entry.malformed === undefined ? undefined : `malformed: ${visible(entry.malformed)}`,
    entry.waf_us === undefined ? undefined : `${entry.waf_us} µs in the WAF`,
    entry.waf_timeout ? 'timed out' : undefined,
  ];
  return `  ${entry.phase.padEnd(17)} ${facts.filter((fact) => fact !== undefined).join(', ')}`;
}

function clipped(text: string): string {
  return text.length <= maxValueCharacters ? text : `${text.slice(0, maxValueCharacters)}…`;
}

/** Attacks carry control characters; a terminal must not obey them. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
