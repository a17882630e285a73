import { argumentNames, configurationVersion, messageNames } from '../../adapters/haproxy/contract.ts';
import { parseHaproxyTime } from '../../config/duration.ts';
import { bufferBytes } from './buffer.ts';
import type { Line, Section } from './parse.ts';
import type { Issue, Rule } from './rule.ts';
import { type MessageKey, messageKeys, type Setup } from './setup.ts';

const bodyArguments = [argumentNames.body, argumentNames.spanId];

/** Without these, the agent cannot inspect the message. */
const requiredArguments: Readonly<Record<MessageKey, readonly string[]>> = {
  requestHeaders: [argumentNames.method, argumentNames.path, argumentNames.headers],
  requestBody: bodyArguments,
  responseHeaders: [argumentNames.status, argumentNames.headers, argumentNames.spanId],
  responseBody: bodyArguments,
};

const usefulArguments: Readonly<Partial<Record<MessageKey, readonly string[]>>> = {
  requestHeaders: [argumentNames.ip, argumentNames.https, argumentNames.timeout],
};

/** Rules about the SPOE file. */
export const spoeRules: readonly Rule[] = [
  {
    id: 'spoe-not-read',
    severity: 'hint',
    why: 'half of the possible mistakes are in the SPOE file',
    remedy: 'pass it with --spoe; its engine must have the name that the filter line uses',
    *find({ spoeProblem }) {
      if (spoeProblem !== undefined) yield spoeProblem;
    },
  },
  {
    id: 'no-agent',
    severity: 'error',
    why: 'HAProxy does not start',
    remedy: 'copy the spoe-agent section from spoe.cfg',
    *find({ spoe, engineName }) {
      if (spoe !== undefined && spoe.agent === undefined) {
        yield { line: { file: spoe.file, number: 1 }, what: `engine ${engineName} has no spoe-agent` };
      }
    },
  },
  {
    id: 'group-missing',
    severity: 'error',
    why: 'HAProxy does not start',
    remedy: "define it with 'spoe-group', and add it to 'groups' of the spoe-agent",
    *find({ spoe, frontends, engineName }) {
      if (spoe?.agent === undefined) return;
      const declared = valuesOf(spoe.agent, 'groups');
      for (const { line, action } of frontends.flatMap((frontend) => frontend.rules)) {
        const [keyword, engine, group = ''] = action;
        if (keyword !== 'send-spoe-group' || engine !== engineName) continue;
        if (!spoe.groups.has(group)) yield { line, what: `${spoe.file} has no spoe-group ${group}` };
        else if (!declared.includes(group))
          yield { line, what: `group ${group} is missing from 'groups' of the spoe-agent` };
      }
    },
  },
  {
    id: 'message-missing',
    severity: 'error',
    why: 'HAProxy does not start, or does not send the message',
    remedy: 'copy the spoe-message from spoe.cfg',
    *find({ spoe }) {
      for (const group of spoe?.groups.values() ?? []) {
        for (const line of linesOf(group, 'messages')) {
          for (const name of line.words.slice(1)) {
            if (!spoe?.messages.has(name)) yield { line, what: `there is no spoe-message ${name}` };
          }
        }
      }
    },
  },
  {
    id: 'argument-missing',
    severity: 'error',
    why: 'the agent cannot inspect the message, or cannot tell which transaction it belongs to',
    remedy: 'copy the args lines from spoe.cfg',
    find: (setup) => missingArguments(setup, requiredArguments),
  },
  {
    id: 'argument-useful',
    severity: 'warning',
    why: "the agent does not learn the client's address, the scheme, or how long to wait for the response",
    remedy: 'copy the args lines from spoe.cfg',
    find: (setup) => missingArguments(setup, usefulArguments),
  },
  {
    id: 'no-body-size',
    severity: 'hint',
    why: 'a body that did not fit into the buffer is taken for complete',
    remedy: "add 'body_size=req.body_size' (requests) and 'body_size=res.body_size' (responses)",
    find: (setup) =>
      missingArguments(setup, {
        requestBody: [argumentNames.bodySize],
        responseBody: [argumentNames.bodySize],
      }),
  },
  {
    id: 'no-conf-version',
    severity: 'hint',
    why: 'the agent cannot warn when these files do not match its version',
    remedy: `add 'conf_version=str(${configurationVersion})', or use the shipped spoe.cfg`,
    find: (setup) => missingArguments(setup, { requestHeaders: [argumentNames.configurationVersion] }),
  },
  {
    id: 'conf-version',
    severity: 'warning',
    why: `this version of appsec-edge ships configuration files ${configurationVersion}`,
    remedy: 'replace all files together; haproxyconf/CHANGELOG.md lists the changes',
    *find({ spoe }) {
      for (const message of spoe?.messages.values() ?? []) {
        for (const line of message.lines) {
          const sent = /\bconf_version=str\(([^)]*)\)/.exec(line.words.join(' '))?.[1];
          if (sent !== undefined && sent !== configurationVersion)
            yield { line, what: `sends conf_version ${sent}` };
        }
      }
    },
  },
  {
    id: 'var-prefix',
    severity: 'error',
    why: 'the rules read txn.dd.*, but the agent sets variables with another prefix',
    remedy: "set 'option var-prefix dd'",
    *find({ spoe }) {
      const agent = spoe?.agent;
      if (agent === undefined) return;
      const line = option(agent, 'var-prefix');
      const prefix = line?.words[2];
      if (prefix !== 'dd') {
        yield {
          line: line ?? agent.at,
          what: prefix === undefined ? 'no var-prefix' : `var-prefix is ${prefix}`,
        };
      }
    },
  },
  {
    id: 'continue-on-error',
    severity: 'warning',
    why: 'after one missing answer, the rest of the transaction is not inspected',
    remedy: "add 'option continue-on-error'",
    find: (setup) => missingOption(setup, 'continue-on-error'),
  },
  {
    id: 'set-on-error',
    severity: 'warning',
    why: 'failed calls to the agent do not show anywhere, and failing closed is not possible',
    remedy: "add 'option set-on-error spoe_error'",
    find: (setup) => missingOption(setup, 'set-on-error'),
  },
  {
    id: 'processing-timeout',
    severity: 'warning',
    why: 'HAProxy stops waiting before the WAF times out, so slow requests pass uninspected',
    remedy: 'set it well above DD_APPSEC_WAF_TIMEOUT; 200ms is usual',
    *find({ spoe, settings }) {
      const agent = spoe?.agent;
      if (agent === undefined) return;
      const line = agent.lines.findLast(({ words }) => words[0] === 'timeout' && words[1] === 'processing');
      if (line === undefined) {
        yield { line: agent.at, what: "no 'timeout processing'" };
        return;
      }
      const timeMs = parseHaproxyTime(line.words[2] ?? '');
      if (timeMs !== undefined && timeMs * 1000 <= settings.wafTimeoutUs) {
        yield {
          line,
          what: `timeout processing ${line.words[2] ?? ''} does not exceed the WAF's time-out of ${settings.wafTimeoutUs / 1000} ms`,
        };
      }
    },
  },
  {
    id: 'frame-size',
    severity: 'warning',
    why: 'messages that do not fit into a frame are not inspected',
    remedy: 'remove the line: the default is tune.bufsize - 4',
    *find(setup) {
      const agent = setup.spoe?.agent;
      for (const line of agent === undefined ? [] : linesOf(agent, 'max-frame-size')) {
        const size = Number(line.words[1]);
        const largest = bufferBytes(setup).bytes - 4;
        if (size !== largest) {
          const relation = size > largest ? 'more than' : 'less than';
          yield { line, what: `max-frame-size ${size} is ${relation} tune.bufsize - 4 (${largest})` };
        }
      }
    },
  },
  {
    id: 'frame-limit',
    severity: 'error',
    why: 'larger messages are let through uninspected, so padding a request evades the WAF',
    remedy:
      "raise the agent's DD_HAPROXY_SPOA_MAX_FRAME_SIZE to tune.bufsize (16777216 is the default and the maximum), or lower tune.bufsize",
    *find(setup) {
      const { line, bytes } = bufferBytes(setup);
      const at = line ?? setup.spoe?.agent?.at;
      if (at !== undefined && bytes - 4 > setup.settings.maxFrameSizeBytes) {
        yield {
          line: at,
          what: `tune.bufsize ${bytes} exceeds the agent's largest frame (${setup.settings.maxFrameSizeBytes})`,
        };
      }
    },
  },
  {
    id: 'body-beyond-buffer',
    severity: 'hint',
    why: 'HAProxy sends only what fits into its buffer; the agent marks the transaction as partial',
    remedy: 'raise tune.bufsize (memory: two buffers per connection), or accept this',
    *find(setup) {
      const sends = setup.frontends.find((frontend) => frontend.filter !== undefined);
      const { line, bytes } = bufferBytes(setup);
      const at = line ?? sends?.filter;
      if (at !== undefined && setup.settings.bodyLimitBytes > bytes) {
        yield {
          line: at,
          what: `DD_APPSEC_BODY_PARSING_SIZE_LIMIT ${setup.settings.bodyLimitBytes} exceeds tune.bufsize ${bytes}`,
        };
      }
    },
  },
];

function linesOf(section: Section, keyword: string): Line[] {
  return section.lines.filter(({ words }) => words[0] === keyword);
}

function valuesOf(section: Section, keyword: string): string[] {
  return linesOf(section, keyword).flatMap(({ words }) => words.slice(1));
}

/** The last line wins: `no option …` undoes an option. */
function option(agent: Section, name: string): Line | undefined {
  const last = agent.lines.findLast(({ words }) => words.includes('option') && words.includes(name));
  return last?.words[0] === 'no' ? undefined : last;
}

function* missingOption({ spoe }: Setup, name: string): Iterable<Issue> {
  const agent = spoe?.agent;
  if (agent !== undefined && option(agent, name) === undefined) {
    yield { line: agent.at, what: `no 'option ${name}'` };
  }
}

function* missingArguments(
  { spoe }: Setup,
  wanted: Readonly<Partial<Record<MessageKey, readonly string[]>>>,
): Iterable<Issue> {
  for (const key of messageKeys) {
    const message = spoe?.messages.get(messageNames[key]);
    if (message === undefined) continue;
    const given = new Set(valuesOf(message, 'args').map((word) => word.split('=', 1)[0]));
    const missing = (wanted[key] ?? []).filter((name) => !given.has(name));
    if (missing.length > 0) {
      yield { line: message.at, what: `${message.name} has no argument ${missing.join(', ')}` };
    }
  }
}
