// What differs between the doors in this demo: the proxy in front of the site, and how the agent is told about it.
import type { Child } from './child.ts';
import { envoyDoor } from './envoy.ts';
import { haproxyDoor } from './haproxy.ts';
import type { DemoPorts } from './ports.ts';

/** A field that the proxy's access log has from the agent. */
export type LogField = 'verdict' | 'trace' | 'rules';

/** A proxy that was found, or a sentence for the operator. */
export type FoundProxy = { readonly path: string; readonly version: string } | { readonly reason: string };

export interface DemoDoor {
  readonly proxy: 'HAProxy' | 'Envoy';
  /** Of appsec-edge. */
  readonly command: string;
  /** Where the agent listens for the proxy, and what it needs to. */
  agentSettings(ports: DemoPorts, folder: string): Promise<NodeJS.ProcessEnv>;
  /** @param say told before anything that takes long or changes the machine */
  find(say: (line: string) => void): Promise<FoundProxy>;
  /** @param started told of the process before it is ready, so that it can be stopped whatever happens */
  start(binary: string, ports: DemoPorts, folder: string, started: (child: Child) => void): Promise<Child>;
  isRequestLog(line: string): boolean;
  /** Undefined when the proxy had nothing to put there. */
  logField(line: string, field: LogField): string | undefined;
}

export const demoDoors = { haproxy: haproxyDoor, 'ext-proc': envoyDoor } as const satisfies Record<
  string,
  DemoDoor
>;
export type DemoDoorName = keyof typeof demoDoors;
