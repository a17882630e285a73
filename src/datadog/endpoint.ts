/*
 * A path with its variable parts replaced, so that requests to one endpoint share one tag. Datadog's rules for proxies,
 * which know no routes: the first that fits a segment wins.
 */
const replacements: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [/^[1-9]\d+$/, '{param:int}'],
  [/^(?=.*\d)[\d._-]{3,}$/, '{param:int_id}'],
  [/^(?=.*\d)[\dA-Fa-f]{6,}$/, '{param:hex}'],
  [/^(?=.*\d)[\dA-Fa-f._-]{6,}$/, '{param:hex_id}'],
  [/^.{20,}$|[%&'()*+,:=@]/, '{param:str}'],
];

const maxSegments = 8;

/** `/users/4711/orders` becomes `/users/{param:int}/orders`. At most eight segments are kept. */
export function endpointOf(path: string): string {
  const segments = path
    .split('/')
    .filter((segment) => segment !== '')
    .slice(0, maxSegments);
  return `/${segments.map(simplify).join('/')}`;
}

function simplify(segment: string): string {
  return replacements.find(([pattern]) => pattern.test(segment))?.[1] ?? segment;
}

/** Path without `.` and `..`, as the original writes resources. Segments stay as they were received otherwise. */
export function cleanPath(path: string): string {
  if (!path.startsWith('/')) return path === '' ? '/' : path;
  const clean: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') clean.pop();
    else if (segment !== '' && segment !== '.') clean.push(segment);
  }
  return `/${clean.join('/')}`;
}
