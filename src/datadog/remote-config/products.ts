import type { PolicyTarget } from '../../engine/policy-target.ts';
import type { WafConfig, WafConfigOutcome, WafProduct } from '../../engine/waf/waf-configs.ts';
import { messageOf } from '../../message-of.ts';
import { type ApplyOutcome, ApplyState, acknowledged, type RemoteConfigUpdate } from './client.ts';
import type { NewTargetFile } from './response.ts';

export const wafProducts: readonly WafProduct[] = ['ASM', 'ASM_DD', 'ASM_DATA'];
/** Switches inspection on or off; subscribed only when DD_APPSEC_ENABLED does not decide. */
export const featuresProduct = 'ASM_FEATURES';

/** Conflicting switches cancel each other; the conflict is reported to the console. */
const conflict: ApplyOutcome = {
  state: ApplyState.unacknowledged,
  error: `several configurations of ${featuresProduct} decide asm.enabled: none is in effect`,
};

/** Applies an update by product: rules and lists go to the WAF, the switch to the engine. */
export class RemoteProducts {
  readonly #target: PolicyTarget;
  readonly #switches = new Map<string, boolean | undefined>();
  /** Paths whose latest file is not a JSON object. The WAF's outcome for such a path is about the file before it. */
  readonly #unreadable = new Set<string>();

  constructor(target: PolicyTarget) {
    this.#target = target;
  }

  /** Answers for each path of `added`, and for others whose outcome this update changed. */
  apply(update: RemoteConfigUpdate): Map<string, ApplyOutcome> {
    const unreadable = new Map<string, ApplyOutcome>();
    const added: WafConfig[] = [];
    for (const { path } of update.removed) this.#unreadable.delete(path);
    for (const file of update.added) {
      const { path } = file;
      const content = contentOf(file);
      this.#unreadable.delete(path);
      if (typeof content === 'string') {
        this.#unreadable.add(path);
        unreadable.set(path, { state: ApplyState.error, error: content });
      } else if (file.product === featuresProduct) this.#switches.set(path, enabledOf(content));
      else {
        const product = wafProducts.find((known) => known === file.product);
        if (product !== undefined) added.push({ path, product, content });
      }
    }
    const removed = update.removed.filter(({ path }) => !this.#switches.delete(path)).map(({ path }) => path);
    const outcomes = this.outcomesOf(this.#target.apply({ removed, added }));
    return new Map([...outcomes, ...this.#activate(), ...unreadable]);
  }

  /** The WAF's outcomes in the form that is reported to the console. */
  outcomesOf(wafOutcomes: readonly WafConfigOutcome[]): Map<string, ApplyOutcome> {
    const outcomes = new Map<string, ApplyOutcome>();
    for (const { path, error } of wafOutcomes) {
      if (this.#unreadable.has(path)) continue;
      outcomes.set(path, error === undefined ? acknowledged : { state: ApplyState.error, error });
    }
    return outcomes;
  }

  /** Sets the switch. Returns the outcomes of all its files, because each depends on the others. */
  #activate(): Map<string, ApplyOutcome> {
    const decided = [...this.#switches.values()].filter((enabled) => enabled !== undefined);
    const ambiguous = decided.length > 1;
    this.#target.activate(ambiguous ? undefined : decided[0]);
    const outcomes = new Map<string, ApplyOutcome>();
    for (const [path, enabled] of this.#switches) {
      if (this.#unreadable.has(path)) continue;
      outcomes.set(path, ambiguous && enabled !== undefined ? conflict : acknowledged);
    }
    return outcomes;
  }
}

/** The JSON object in a file, or what is wrong with it. */
function contentOf(file: NewTargetFile): object | string {
  let content: unknown;
  try {
    content = JSON.parse(file.raw.toString('utf8'));
  } catch (cause) {
    return messageOf(cause);
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
