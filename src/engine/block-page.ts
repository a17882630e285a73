import { type BlockVerdict, type RedirectVerdict, securityResponseIdPlaceholder } from './verdict.ts';

/** A whole response to send instead of the origin's. */
export interface BlockResponse {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** The operator's page did not fit and was replaced by the built-in one, or by none. */
  readonly substituted: boolean;
}

export interface BlockPageTemplates {
  readonly html?: string | undefined;
  readonly json?: string | undefined;
}

const contentTypes = { html: 'text/html; charset=utf-8', json: 'application/json' } as const;

const builtInPages = {
  html: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Request blocked</title>
<style>
body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;color:#222;background:#f5f5f4}
main{max-width:32rem;padding:2rem}
h1{font-size:1.4rem}
code{font-size:.85rem;color:#666}
</style>
</head>
<body>
<main>
<h1>This request was blocked</h1>
<p>It looks like an attack on this site. If you think that this is a mistake, tell the people who run the site and give them this number:</p>
<p><code>${securityResponseIdPlaceholder}</code></p>
</main>
</body>
</html>
`,
  json: `{"errors":[{"title":"Request blocked","detail":"It looks like an attack. If this is a mistake, contact the people who run this site and give them the security response id."}],"security_response_id":"${securityResponseIdPlaceholder}"}
`,
} as const;

/**
 * Renders verdicts. Sizes matter: A door may have to fit the page into one frame, so a caller states how many bytes of
 * body it can carry, and gets the operator's page, else the built-in one, else an empty body: in this order.
 */
export class BlockPages {
  #templates: BlockPageTemplates;
  #ofService: ReadonlyMap<string, BlockPageTemplates>;

  /** @param ofService pages of single applications, by service name; for others, `templates` are used. */
  constructor(
    templates: BlockPageTemplates = {},
    ofService: ReadonlyMap<string, BlockPageTemplates> = new Map(),
  ) {
    this.#templates = templates;
    this.#ofService = ofService;
  }

  /** Other templates from now on. */
  replace(templates: BlockPageTemplates, ofService: ReadonlyMap<string, BlockPageTemplates>): void {
    this.#templates = templates;
    this.#ofService = ofService;
  }

  render(
    verdict: BlockVerdict | RedirectVerdict,
    maxBodyBytes = Number.POSITIVE_INFINITY,
    service?: string,
  ): BlockResponse {
    if (verdict.kind === 'redirect') {
      return {
        status: verdict.status,
        headers: [['Location', verdict.location]],
        body: Buffer.alloc(0),
        substituted: false,
      };
    }
    const headers = [
      ['Content-Type', contentTypes[verdict.type]],
      ['Cache-Control', 'no-store'],
    ] as const;
    const own = service === undefined ? undefined : this.#ofService.get(service)?.[verdict.type];
    const custom = own ?? this.#templates[verdict.type];
    const candidates =
      custom === undefined ? [builtInPages[verdict.type]] : [custom, builtInPages[verdict.type]];
    for (const [index, template] of candidates.entries()) {
      const body = Buffer.from(
        template.replaceAll(securityResponseIdPlaceholder, () => verdict.securityResponseId),
      );
      if (body.length <= maxBodyBytes)
        return { status: verdict.status, headers, body, substituted: index > 0 };
    }
    return { status: verdict.status, headers, body: Buffer.alloc(0), substituted: true };
  }

  /** The largest page in bytes, with an id of ordinary length (a UUID). */
  get largestPageBytes(): number {
    const idBytes = 36;
    const templates = [builtInPages, this.#templates, ...this.#ofService.values()];
    return Math.max(
      ...templates
        .flatMap(({ html, json }) => [html ?? '', json ?? ''])
        .map((template) => {
          const places = template.split(securityResponseIdPlaceholder).length - 1;
          return Buffer.byteLength(template) + places * (idBytes - securityResponseIdPlaceholder.length);
        }),
    );
  }
}
