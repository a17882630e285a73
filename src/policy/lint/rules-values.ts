import type { JsonObject } from '../../engine/json.ts';
import { addressMeant, addressProblem } from './addresses.ts';
import { pageTypes, redirectStatuses } from './known-names.ts';
import type { LintRule } from './lint-rule.ts';
import { locationProblem } from './location.ts';
import { didYouMean, nearest, quoted } from './nearest.ts';
import { conditionsOf, entriesOf, listsOf, objectAt, objectsOf, type Part, textsOf } from './parts.ts';

/* Values that are accepted but have no effect, or another effect than intended. */

const noAddress: LintRule = {
  id: 'no-address',
  severity: 'warning',
  about:
    'A list of addresses has an entry that is not an IPv4 or IPv6 address or network. The entry is ignored',
  remote: true,
  *find({ content }) {
    for (const list of listsOf(content)) {
      if (list.value['type'] !== 'ip_with_expiration') continue;
      for (const { value, index } of entriesOf(list.value)) {
        const text = typeof value === 'string' ? addressRemark(value) : undefined;
        if (text !== undefined) yield { path: [...list.path, 'data', index, 'value'], text };
      }
    }
    for (const { operator, parameters } of conditionsOf(content)) {
      if (operator !== 'ip_match' && operator !== '!ip_match') continue;
      for (const { path, value } of textsOf(parameters.value, 'list', parameters.path)) {
        const text = addressRemark(value);
        if (text !== undefined) yield { path, text };
      }
    }
  },
};

function addressRemark(value: string): string | undefined {
  const problem = addressProblem(value);
  if (problem === undefined) return undefined;
  return `${quoted(value)} is not an address: ${problem}${didYouMean(addressMeant(value))}`;
}

/** Until the year 5138; what is above is in milliseconds. */
const latestSeconds = 100_000_000_000;

const expired: LintRule = {
  id: 'expired',
  severity: 'warning',
  about:
    'A list entry has expired, so it has no effect; or its `expiration` is in milliseconds, so it never expires',
  remote: false,
  *find({ content, now }) {
    for (const list of listsOf(content)) {
      for (const { value, expiration: given, index } of entriesOf(list.value)) {
        const text = expirationRemark(value, given, now);
        if (text !== undefined) yield { path: [...list.path, 'data', index, 'expiration'], text };
      }
    }
  },
};

function expirationRemark(value: unknown, given: unknown, now: number): string | undefined {
  const expiration = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given;
  if (typeof expiration !== 'number' || expiration <= 0) return undefined;
  if (expiration < now)
    return `${quoted(value)} expired at ${new Date(expiration * 1000).toISOString()} and has no effect`;
  if (expiration <= latestSeconds) return undefined;
  return `${expiration} is read as seconds, so the entry never expires; did you mean ${Math.floor(expiration / 1000)}?`;
}

const badStatus: LintRule = {
  id: 'bad-status',
  severity: 'warning',
  about:
    '`status_code` cannot be sent: a block needs 200 to 599, a redirect 301, 302, 303 or 307. 403 or 303 is sent instead',
  remote: true,
  *find({ content }) {
    for (const { isRedirect, parameters } of blockingActions(content)) {
      const given = parameters.value['status_code'];
      if (given === undefined) continue;
      const status = numberOf(given);
      const path = [...parameters.path, 'status_code'];
      if (isRedirect) {
        if (status !== undefined && redirectStatuses.includes(status)) continue;
        yield { path, text: `${quoted(given)} is not 301, 302, 303 or 307: 303 is sent` };
      } else if (status === undefined || status < 200 || status > 599)
        yield { path, text: `${quoted(given)} is not a status from 200 to 599: 403 is sent` };
    }
  },
};

const badGrpcStatus: LintRule = {
  id: 'bad-grpc-status',
  severity: 'warning',
  about: '`grpc_status_code` is not a number from 0 to 16',
  remote: true,
  *find({ content }) {
    for (const { parameters } of blockingActions(content)) {
      const given = parameters.value['grpc_status_code'];
      if (given === undefined) continue;
      const status = numberOf(given);
      if (status === undefined || status > 16)
        yield {
          path: [...parameters.path, 'grpc_status_code'],
          text: `${quoted(given)} is not a gRPC status from 0 to 16`,
        };
    }
  },
};

const badPageType: LintRule = {
  id: 'bad-page-type',
  severity: 'warning',
  about:
    'The `type` of a block page is not `auto`, `html` or `json`. `auto` is used: the `Accept` header decides',
  remote: true,
  *find({ content }) {
    for (const { isRedirect, parameters } of blockingActions(content)) {
      const given = parameters.value['type'];
      if (isRedirect || given === undefined || pageTypes.some((type) => type === given)) continue;
      const meant = typeof given === 'string' ? nearest(given, pageTypes) : undefined;
      yield {
        path: [...parameters.path, 'type'],
        text: `unknown page type ${quoted(given)}: 'auto' is used${didYouMean(meant) || '; it must be auto, html or json'}`,
      };
    }
  },
};

const badLocation: LintRule = {
  id: 'bad-location',
  severity: 'warning',
  about: 'A redirect has no `location`, or one that cannot be sent. The client gets a 403 instead',
  remote: true,
  *find({ content }) {
    for (const { isRedirect, parameters } of blockingActions(content)) {
      if (!isRedirect) continue;
      const { location } = parameters.value;
      const problem = locationProblem(location);
      if (problem === undefined) continue;
      // The key is misspelt, which is said by unknown-key.
      if (location === undefined && Object.keys(parameters.value).some((key) => nearest(key, ['location'])))
        continue;
      const shown = location === undefined ? '`location`' : `location ${quoted(location)}`;
      yield {
        path: location === undefined ? parameters.path : [...parameters.path, 'location'],
        text: `${shown}: ${problem}; 403 is sent`,
      };
    }
  },
};

function blockingActions(content: JsonObject): { isRedirect: boolean; parameters: Part }[] {
  return objectsOf(content, 'actions').flatMap((action) => {
    const { type } = action.value;
    if (type !== 'block_request' && type !== 'redirect_request') return [];
    return objectAt(action, 'parameters').map((parameters) => ({
      isRedirect: type === 'redirect_request',
      parameters,
    }));
  });
}

/** Whole and not negative, also as digits in a text. */
function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 ? number : undefined;
}

export const valueRules: readonly LintRule[] = [
  noAddress,
  expired,
  badStatus,
  badGrpcStatus,
  badPageType,
  badLocation,
];
