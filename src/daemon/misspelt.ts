import type { AnySetting } from '../config/setting.ts';
import { knownVariables } from '../datadog/dd-trace-package.ts';
import { editDistance } from '../policy/lint/nearest.ts';
import { settingNames, settings } from './settings.ts';

/** Prefixes that only we use: such a variable is meant for us. */
const ownPrefixes = ['APPSEC_EDGE_', 'DD_HAPROXY_SPOA_', 'DD_SERVICE_EXTENSION_', 'DD_REQUEST_MIRROR_'];

/** Shared with Datadog's libraries, or our own with the beginning forgotten: meant for us only when it is close. */
const nearPrefixes = ['DD_', 'HAPROXY_SPOA_', 'APPSEC_', 'API_SECURITY_'];

/** Read by the tests and tools of this project, and by Datadog's libraries in other languages. */
const knownElsewhere: ReadonlySet<string> = new Set([
  ...['APPSEC_EDGE_HAPROXY', 'APPSEC_EDGE_REQUIRE_HAPROXY', 'APPSEC_EDGE_FUZZ_SEED'],
  ...['APPSEC_EDGE_ENVOY', 'APPSEC_EDGE_REQUIRE_ENVOY', 'APPSEC_EDGE_REQUIRE_SENDERS'],
  ...['APPSEC_EDGE_NGINX', 'APPSEC_EDGE_TRAEFIK'],
  ...['DD_API_SECURITY_REQUEST_SAMPLE_RATE', 'DD_API_SECURITY_PARSE_RESPONSE_BODY'],
]);

/** Kubernetes tells every container where each Service is, under the Service's name: it may be called `appsec-edge`. */
const kubernetesLink =
  /^(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

/** Letters that may be wrong, missing, too many or swapped. */
const mostSlips = 3;
/** Of a shorter name, another one may be as close by chance: only letters that changed places count. */
const shortestNear = 12;

/**
 * A warning for each environment variable that is meant for us, judging by its name, but does not exist. Values are not
 * repeated, because they may be secret. An empty variable counts as unset.
 * @param datadogs names that dd-trace reads by itself
 */
export function misspeltVariables(
  environment: NodeJS.ProcessEnv,
  datadogs: ReadonlySet<string> = knownVariables(),
): string[] {
  const known = new Set([
    ...settingNames.flatMap((name) => namesOf(settings[name])),
    ...datadogs,
    ...knownElsewhere,
  ]);
  const services = Object.keys(environment).flatMap((name) => /^(.+_)SERVICE_HOST$/.exec(name)?.[1] ?? []);
  const isLink = (name: string): boolean =>
    services.some((service) => name.startsWith(service) && kubernetesLink.test(name.slice(service.length)));
  const sentences: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    const upper = name.toUpperCase();
    if (!value || known.has(name) || known.has(`_${name}`) || isLink(name)) continue;
    const isOurs = ownPrefixes.some((prefix) => upper.startsWith(prefix));
    if (!isOurs && !nearPrefixes.some((prefix) => upper.startsWith(prefix))) continue;
    const nearest = nearestSetting(upper);
    if (nearest !== undefined)
      sentences.push(`${name} is not a setting and is ignored; did you mean ${nearest}?`);
    else if (isOurs)
      sentences.push(`${name} is not a setting and is ignored; 'appsec-edge --help' lists all settings`);
  }
  return sentences;
}

/** All variables of a setting. */
function namesOf({ env, aliases = [] }: AnySetting): string[] {
  return [env, ...aliases];
}

/** The variable that is written most like `text`, when it is close enough to have been meant. */
function nearestSetting(text: string): string | undefined {
  const own = withoutPrefix(text);
  let nearest: string | undefined;
  let fewest = Math.min(mostSlips, Math.ceil(own.length / 3)) + 1;
  for (const name of settingNames) {
    const { env: best, flag } = settings[name];
    for (const env of namesOf(settings[name])) {
      const slips = isSameSetting(own, env, flag) ? 1 : slipsOf(text, env);
      if (slips < fewest) [nearest, fewest] = [best, slips];
    }
  }
  return nearest;
}

/** With the beginning of another of ours, or none; with the name of the flag; with its last word missing or one more. */
function isSameSetting(own: string, env: string, flag: string): boolean {
  if (env.length < shortestNear) return false;
  const name = withoutPrefix(env);
  if (own === name || own === flag.toUpperCase().replaceAll('-', '_')) return true;
  const [longer, shorter] = own.length > name.length ? [own, name] : [name, own];
  return (
    shorter.includes('_') &&
    longer.startsWith(`${shorter}_`) &&
    !longer.slice(shorter.length + 1).includes('_')
  );
}

function slipsOf(text: string, env: string): number {
  if (env.length >= shortestNear) return editDistance(text, env, mostSlips);
  const letters = (name: string): string => [...name].sort().join('');
  return letters(text) === letters(env) ? editDistance(text, env, mostSlips) : Number.POSITIVE_INFINITY;
}

function withoutPrefix(name: string): string {
  return name.replace(/^(DD_)?(HAPROXY_SPOA|APPSEC_EDGE|APPSEC|API_SECURITY)_/, '');
}
