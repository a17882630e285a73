import type {
  WafConfig,
  WafConfigChange,
  WafConfigOutcome,
  WafProduct,
} from '../../engine/waf/waf-configs.ts';
import { type ApplyOutcome, ApplyState, acknowledged, type RemoteConfigUpdate } from './client.ts';
import type { NewTargetFile } from './response.ts';

export const wafProducts: readonly WafProduct[] = ['ASM', 'ASM_DD', 'ASM_DATA'];
/** The switch: subscribed only when nothing else decides whether the engine is on. */
export const featuresProduct = 'ASM_FEATURES';

export interface RemoteTarget {
  apply(change: WafConfigChange): readonly WafConfigOutcome[];
  /** The switch: undefined when the console says nothing. */
  activate(enabled: boolean | undefined): void;
}

/** Sorts an update by product and takes it into effect: rules and lists into the WAF, the switch to the engine. */
export class RemoteProducts {
  readonly #target: RemoteTarget;
  readonly #switches = new Map<string, boolean | undefined>();

  constructor(target: RemoteTarget) {
    this.#target = target;
  }

  apply(update: RemoteConfigUpdate): Map<string, ApplyOutcome> {
    const outcomes = new Map<string, ApplyOutcome>();
    const added: WafConfig[] = [];
    const switches: NewTargetFile[] = [];
    for (const file of update.added) {
      const content = contentOf(file);
      if (typeof content === 'string') outcomes.set(file.path, { state: ApplyState.error, error: content });
      else if (file.product === featuresProduct) {
        this.#switches.set(file.path, enabledOf(content));
        switches.push(file);
      } else {
        const product = wafProducts.find((known) => known === file.product);
        if (product !== undefined) added.push({ path: file.path, product, content });
      }
    }
    const removed = update.removed.filter(({ path }) => !this.#switches.delete(path)).map(({ path }) => path);
    for (const { path, error } of this.#target.apply({ removed, added })) {
      outcomes.set(path, error === undefined ? acknowledged : { state: ApplyState.error, error });
    }
    this.#activate(switches, outcomes);
    return outcomes;
  }

  /** Two switches at once are none: neither is thrown, and the console is told. */
  #activate(changed: readonly NewTargetFile[], outcomes: Map<string, ApplyOutcome>): void {
    const decided = [...this.#switches.values()].filter((enabled) => enabled !== undefined);
    const ambiguous = decided.length > 1;
    if (!ambiguous) this.#target.activate(decided[0]);
    for (const { path } of changed) {
      outcomes.set(path, ambiguous ? { state: ApplyState.unacknowledged, error: '' } : acknowledged);
    }
  }
}

/** The object in a file, or why there is none. */
function contentOf(file: NewTargetFile): object | string {
  let content: unknown;
  try {
    content = JSON.parse(file.raw.toString('utf8'));
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
  return typeof content === 'object' && content !== null && !Array.isArray(content)
    ? content
    : 'must be a JSON object';
}

function enabledOf(content: object): boolean | undefined {
  const asm = 'asm' in content ? content.asm : undefined;
  const enabled = typeof asm === 'object' && asm !== null && 'enabled' in asm ? asm.enabled : undefined;
  return typeof enabled === 'boolean' ? enabled : undefined;
}
