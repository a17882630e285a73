import { Histogram } from './histogram.ts';
import type { LoadReport } from './load-plan.ts';

/** What one load counts between two reports. */
export class LoadCount {
  begun = 0;
  completed = 0;
  acks = 0;
  skipped = 0;
  failed = 0;
  late = 0;
  unsent = 0;
  readonly ackUs = new Histogram();
  readonly headerAckUs = new Histogram();
  readonly behindUs = new Histogram();

  report(name: string, degradedMs: number): LoadReport {
    const { begun, completed, acks, skipped, failed, late, unsent } = this;
    const times = {
      ackUs: this.ackUs.toJSON(),
      headerAckUs: this.headerAckUs.toJSON(),
      behindUs: this.behindUs.toJSON(),
    };
    return { name, begun, completed, acks, skipped, failed, late, unsent, ...times, degradedMs };
  }
}
