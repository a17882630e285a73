import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { ConfigError, StartError } from '../../config/errors.ts';
import { lowValueWarnings } from '../../daemon/low-values.ts';
import { misspeltVariables } from '../../daemon/misspelt.ts';
import type { SettingName, SettingTexts } from '../../daemon/settings.ts';
import { messageOf } from '../../message-of.ts';
import { configFrom, withSettings } from '../setting-flags.ts';
import { type GivenRequest, parseRawRequest, parseRawResponse, requestFromUrl } from './message.ts';
import { forTerminal, printReport } from './print.ts';
import type { InspectReport } from './run.ts';

/** With `--exit-code`: what scripts and CI jobs can branch on. */
const verdictExitCodes = { pass: 0, partial: 0, report: 3, block: 4, redirect: 4 } as const;

/** For a single request, bodies are inspected, and the result must not depend on a cold start. */
const inspectDefaults: SettingTexts = { bodyLimitBytes: '10000000', wafTimeoutUs: '2s' };

/** The most that HAProxy sends by default. */
const haproxyBufferBytes = 16_384;

const settingsOfInspect: readonly SettingName[] = [
  'rulesPath',
  'protect',
  'policyFolder',
  'bodyLimitBytes',
  'maxDecompressedBytes',
  'wafTimeoutUs',
  'clientIpHeader',
  'obfuscatorKeyRegex',
  'obfuscatorValueRegex',
  'blockedTemplateHtmlPath',
  'blockedTemplateJsonPath',
];

interface InspectFlags extends Record<string, unknown> {
  readonly request?: string;
  readonly header: readonly string[];
  readonly data: readonly string[];
  readonly clientIp: string;
  readonly raw?: boolean;
  readonly response?: string;
  readonly json?: boolean;
  readonly exitCode?: boolean;
}

export function addInspectCommand(program: Command): void {
  const collect = (value: string, earlier: readonly string[]): string[] => [...earlier, value];
  const command = program
    .command('inspect')
    .description(
      'Show which rules match a given HTTP request (and response), and the verdict. Uses no network.',
    )
    .argument('[url]', "the request's URL; - for a raw HTTP request on standard input")
    .option('-X, --request <method>', 'method (default: GET, or POST with -d)')
    .addOption(
      new Option('-H, --header <line>', "header 'Name: value'; may be repeated")
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(
      new Option('-d, --data <body>', 'body, or @file to read it from (@-: standard input), as with curl')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--client-ip <address>', 'address of the TCP peer', '127.0.0.1')
    .option('--raw', 'read a raw HTTP request from standard input: request line, headers, empty line, body')
    .option('--response <file>', 'also inspect this raw HTTP response to the request')
    .option('--json', 'print JSON')
    .option('--exit-code', 'exit with 3 if rules matched, 4 if blocked or redirected')
    .addHelpText(
      'after',
      `
Unless set otherwise, the body limit is 10000000 bytes and the WAF's time-out 2s.

To try rules before they go live, use --policy-folder and --protect.

Examples:
  appsec-edge inspect 'http://shop.example/?q=1%27+or+1=1--'
  appsec-edge inspect https://shop.example/api -H 'Content-Type: application/json' -d '{"q":"<script>"}'
  appsec-edge inspect --raw --response response.txt --json < request.txt
`,
    );
  withSettings(command, settingsOfInspect).action(async (url: string | undefined, flags: InspectFlags) => {
    const report = await runInspect(url, flags);
    process.stdout.write(
      flags.json ? `${JSON.stringify(report, undefined, 2)}\n` : printReport(report, forTerminal),
    );
    if (flags.exitCode) process.exitCode = verdictExitCodes[report.verdict];
  });
}

async function runInspect(url: string | undefined, flags: InspectFlags): Promise<InspectReport> {
  // The engine is loaded when a request is inspected: every command reads this file.
  const [
    { createInspectEngine, InspectObserver, inspect },
    { loadBlockPages, loadWaf },
    { applyPolicyFolder },
  ] = await Promise.all([
    import('./run.ts'),
    import('../../daemon/engine-files.ts'),
    import('../../daemon/policy-folder.ts'),
  ]);
  const config = configFrom(flags, process.env, inspectDefaults);
  const request = await givenRequest(url, flags);
  const response =
    flags.response === undefined
      ? undefined
      : parseRawResponse(await readInput(flags.response), `--response ${flags.response}`);
  const pages = loadBlockPages(config);
  const observer = new InspectObserver();
  const { waf, configs } = loadWaf(config);
  const policy = applyPolicyFolder(config, configs);
  const engine = createInspectEngine(config, waf, observer);
  const report = await inspect(engine, observer, request, response, pages);
  const notes = [...policy.notes];
  if (!(config.appSecEnabled ?? policy.enabled ?? true)) {
    notes.push('A running appsec-edge would not inspect this request: inspection is switched off.');
  }
  const { wafTimeoutUs, bodyLimitBytes } = config;
  notes.push(...lowValueWarnings({ wafTimeoutUs, bodyLimitBytes }), ...misspeltVariables(process.env));
  return {
    ...report,
    notes: [...notes, ...report.notes, ...timeNotes(report, flags), ...bodyNotes(report, flags)],
  };
}

async function givenRequest(url: string | undefined, flags: InspectFlags): Promise<GivenRequest> {
  if (isIP(flags.clientIp) === 0) {
    throw new ConfigError(
      `--client-ip: '${flags.clientIp}' is not allowed; it must be an IPv4 or IPv6 address`,
    );
  }
  if (flags.raw || url === '-') {
    if (
      (flags.raw && url !== undefined && url !== '-') ||
      flags.header.length > 0 ||
      flags.data.length > 0 ||
      flags.request
    ) {
      throw new ConfigError('a raw request on standard input cannot be combined with a URL, -X, -H or -d');
    }
    return parseRawRequest(await readInput('-'), 'standard input', flags.clientIp);
  }
  if (url === undefined) {
    throw new ConfigError("inspect needs a URL, or a raw HTTP request on standard input with '--raw'");
  }
  const parts = await Promise.all(
    flags.data.map((part) => (part.startsWith('@') ? readInput(part.slice(1)) : Buffer.from(part))),
  );
  const joined = parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from('&'), part]));
  return requestFromUrl(url, {
    method: flags.request,
    headers: flags.header,
    body: parts.length === 0 ? undefined : Buffer.concat(joined),
    peerAddress: flags.clientIp,
  });
}

/** Inspecting a request takes a few times longer in a process that has just started than in the daemon. */
const coldFactor = 5;

/** Whether a daemon with the same settings might run out of time. */
function timeNotes(report: InspectReport, flags: InspectFlags): string[] {
  const allowedMs = configFrom(flags).wafTimeoutUs / 1000;
  const tookMs = report.inspected.reduce((sum, { waf_us: timeUs }) => sum + (timeUs ?? 0), 0) / 1000;
  if (tookMs <= coldFactor * allowedMs || report.inspected.some(({ waf_timeout: ranOut }) => ranOut))
    return [];
  return [
    `A running appsec-edge might not finish all rules: this took the WAF ${tookMs.toFixed(1)} ms, and DD_APPSEC_WAF_TIMEOUT allows ${allowedMs} ms.`,
  ];
}

/** What a daemon with the same settings would not inspect. */
function bodyNotes(report: InspectReport, flags: InspectFlags): string[] {
  const bodies = report.inspected.filter(({ phase }) => phase.endsWith('-body'));
  if (bodies.length === 0) return [];
  const notes: string[] = [];
  if (configFrom(flags).bodyLimitBytes <= 0) {
    notes.push(
      'A running appsec-edge would not inspect bodies: DD_APPSEC_BODY_PARSING_SIZE_LIMIT is 0 (the default). Set it, for example to 10000000.',
    );
  }
  if (bodies.some(({ bytes }) => (bytes ?? 0) > haproxyBufferBytes)) {
    notes.push(
      `HAProxy sends only what fits into its buffer: ${haproxyBufferBytes} bytes including headers, unless you raise tune.bufsize.`,
    );
  }
  return notes;
}

async function readInput(path: string): Promise<Buffer> {
  if (path === '-') return buffer(process.stdin);
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new StartError(`${path} cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}
