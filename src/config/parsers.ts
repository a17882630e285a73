import { parseAllowList } from '../net/allow-list.ts';
import { parseHaproxyTime } from './duration.ts';

/** Converts the text of a setting to its value. */
export interface Parser<T> {
  /** What is allowed, as the end of "must be …". */
  readonly allowed: string;
  /** The value is not repeated in messages. */
  readonly confidential?: true;
  /** Undefined when `text` is not allowed. */
  parse(text: string): T | undefined;
}

export const text: Parser<string> = { allowed: 'text', parse: (value) => value };

export const path: Parser<string> = {
  allowed: 'a path',
  parse: (value) => (value === '' ? undefined : value),
};

/** Go's spellings, as Datadog's libraries read them. */
export const boolean: Parser<boolean> = {
  allowed: 'true or false (also 1, t, 0, f)',
  parse(value) {
    if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
    if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
    return undefined;
  },
};

export function integer(lowest: number, highest: number, unit = ''): Parser<number> {
  const of = unit === '' ? '' : ` of ${unit}`;
  return {
    allowed: `a whole number${of} from ${lowest} to ${highest}`,
    parse(value) {
      if (!/^[+-]?\d+$/.test(value)) return undefined;
      const number = Number(value);
      return number >= lowest && number <= highest ? number : undefined;
    },
  };
}

/** A number of threads; `auto` leaves it to the machine. */
export const threadCount: Parser<number | 'auto'> = {
  allowed: 'auto or a whole number from 0 to 64',
  parse: (value) => (value === 'auto' ? value : integer(0, 64).parse(value)),
};

export const port: Parser<number> = {
  ...integer(0, 65_535),
  allowed: 'a port from 0 to 65535 (0: any free one)',
};

/** Milliseconds. */
export const haproxyTime: Parser<number> = {
  allowed:
    "a duration in HAProxy's format: a whole number with us, ms, s, m, h or d (default ms), for example '30s'",
  parse: parseHaproxyTime,
};

/** Microseconds. A bare number is microseconds too, as in Datadog's libraries. */
export const wafTimeout: Parser<number> = {
  allowed: "a duration above zero with us, ms or s (default: microseconds), for example '10ms'",
  parse(value) {
    const match = /^(\d+(?:\.\d+)?)(us|µs|ms|s)?$/.exec(value.trim());
    if (match === null) return undefined;
    const factor = match[2] === 's' ? 1_000_000 : match[2] === 'ms' ? 1000 : 1;
    const durationUs = Math.round(Number(match[1]) * factor);
    return durationUs > 0 && durationUs <= 60_000_000 ? durationUs : undefined;
  },
};

export function oneOf<const T extends string>(...choices: readonly T[]): Parser<T> {
  return {
    allowed: `one of ${choices.join(', ')}`,
    parse: (value) => choices.find((choice) => choice === value),
  };
}

/** Some of the choices, separated by commas, each once and at least one. */
export function severalOf<const T extends string>(...choices: readonly T[]): Parser<readonly T[]> {
  return {
    allowed: `some of ${choices.join(', ')}, separated by commas`,
    parse(value) {
      const words = value.split(',').map((word) => word.trim());
      const chosen = words.flatMap((word) => choices.filter((choice) => choice === word));
      const isWhole = chosen.length === words.length && new Set(chosen).size === words.length;
      return isWhole ? chosen : undefined;
    },
  };
}

/** A regular expression that JavaScript can run; the text itself is the value, for libddwaf compiles it anew. */
export const regularExpression: Parser<string> = {
  allowed: 'a regular expression',
  parse(value) {
    try {
      new RegExp(value.replace(/^\(\?i\)/, ''));
      return value;
    } catch {
      return undefined;
    }
  },
};

export const headerName: Parser<string> = {
  allowed: 'the name of an HTTP header',
  parse: (value) => (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value) ? value.toLowerCase() : undefined),
};

/** As dd-trace reads it: `unix:///path`, or a URL with http or https. */
export const agentUrl: Parser<string> = {
  allowed: "a URL with http, https or unix, for example 'unix:///var/run/datadog/apm.socket'",
  parse: (value) =>
    /^(https?:\/\/[^/]|unix:(\/\/)?\/)/i.test(value) && URL.canParse(value) ? value : undefined,
};

/** Milliseconds. Datadog's libraries write seconds, with a fraction; a negative number is their default, 5. */
export const seconds: Parser<number> = {
  allowed: "a number of seconds, for example '5' or '0.5'",
  parse(value) {
    if (!/^-?\d+(\.\d+)?$/.test(value.trim())) return undefined;
    const number = Number(value);
    return number < 0 ? 5000 : Math.min(number, 86_400) * 1000;
  },
};

export const nameList: Parser<readonly string[]> = {
  allowed: 'names separated by commas',
  parse: (value) =>
    value
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
};

/** As `parseAllowList` reads them. Text, as all settings are plain data: they go to the engine threads. */
export const addressList: Parser<readonly string[]> = {
  allowed:
    "IPv4 and IPv6 addresses and networks, separated by commas, for example '10.0.0.5,192.0.2.0/24,2001:db8::/64'",
  parse(value) {
    const networks = nameList.parse(value) ?? [];
    return networks.length === 0 || parseAllowList(networks) === undefined ? undefined : networks;
  },
};

/** Octal permissions as in chmod. */
export const fileMode: Parser<number> = {
  allowed: "three octal digits, for example '660'",
  parse: (value) => (/^0?[0-7]{3}$/.test(value) ? Number.parseInt(value, 8) : undefined),
};

/** Long enough that it cannot be found by trying; see adapters/haproxy/peers/proof.ts. */
export const secret: Parser<string> = {
  allowed: "at least 16 characters, for example the output of 'openssl rand -hex 32'",
  confidential: true,
  parse: (value) => (value.length >= 16 ? value : undefined),
};

export type StatusRange = readonly [lowest: number, highest: number];

export const statusRanges: Parser<readonly StatusRange[]> = {
  allowed: "status codes and ranges separated by commas, for example '500-599,418'",
  parse(value) {
    const ranges: StatusRange[] = [];
    for (const part of value.split(',')) {
      const match = /^\s*(\d{3})(?:-(\d{3}))?\s*$/.exec(part);
      if (match === null) return undefined;
      ranges.push([Number(match[1]), Number(match[2] ?? match[1])]);
    }
    return ranges;
  },
};
