/*
 * What the door suite needs of a door, at the level of HTTP: a client in front of it, an origin behind it, and the
 * process that it is open in. A driver says what its door can do, and why not what it cannot: the report of the tests
 * shows the reason.
 */

/** `T` where it takes something to do it. */
export type Ability<T = true> = { readonly can: T } | { readonly cannot: string };

export type Headers = Readonly<Record<string, string>>;

/** What one client sends, and what its origin answers. */
export interface Exchange {
  readonly method?: string;
  /** Names the exchange: unique. */
  readonly target: string;
  /** Added to Host. */
  readonly headers?: Headers;
  /** In pieces: sent with pauses between them. */
  readonly body?: string | Buffer | readonly (string | Buffer)[];
  /** A small HTML page with status 200 where nothing else is said; `never`: the origin thinks for ever. */
  readonly response?: OriginResponse | 'never';
  /** Of an application that only reports: see `namesApplications`. */
  readonly reportOnly?: boolean;
  /** See `vouchesForClients`. */
  readonly client?: string;
}

export interface OriginResponse {
  readonly status?: number;
  readonly headers?: Headers;
  readonly body?: string;
}

/** What came of it. */
export interface Outcome {
  /** What the client got. */
  readonly status: number;
  readonly body: string;
  /** The body that the origin got; undefined: it got no request. */
  readonly received: string | undefined;
}

/** A request of which the head is on its way. */
export interface OpenExchange {
  /** Sends one more piece of the body. */
  piece(): Promise<void>;
  /** Sends what is left; resolves with what the client saw. */
  finish(): Promise<Outcome>;
  /** The client goes away. */
  abort(): Promise<void>;
}

/** The parts of a line of the security log that the suite looks at. */
export interface SecurityEvent {
  readonly door?: string;
  readonly phase: string;
  readonly verdict: string;
  readonly would_block?: boolean;
  readonly client?: string;
  readonly path?: string;
  readonly rules: readonly { readonly id: string }[];
}

/** Messages of one transaction, as the suite may order them. */
export type Step = 'request' | 'request-body' | 'response' | 'response-body';

export interface DoorDriver {
  /** Label `door` of its metrics. */
  readonly door: string;
  /** Whether it can block; else everything is reported. */
  readonly blocks: Ability;
  /** Whether responses come by. */
  readonly seesResponses: Ability;
  /** Whether the engine has the head of a request before its body is there. */
  readonly headComesFirst: Ability;
  /** Whether it learns that a client went away. */
  readonly tellsAborts: Ability;
  /** Whether a request can belong to an application that only reports. */
  readonly namesApplications: Ability;
  /** Whether it knows the address of the client whatever headers say. */
  readonly vouchesForClients: Ability;
  /** Whether it lets through what an engine could not analyse in time. */
  readonly sheds: Ability;
  /** The address from which requests come; undefined: the door does not learn it. */
  readonly peerAddress: string | undefined;
  /** Requests over which the engine, or the door's handler, makes a mistake: what it is, and how it is asked for. */
  readonly mistakes: Ability<Readonly<Record<string, Partial<Exchange>>>>;
  /** Bytes for the door's own socket; resolves when the door is done with them. */
  readonly hostileBytes: Ability<(bytes: Buffer) => Promise<void>>;
  /** Messages of one connection in any order; resolves with how many transactions the engine began for them. */
  readonly disorder: Ability<(steps: readonly Step[]) => Promise<number>>;

  open(exchange: Exchange): Promise<OpenExchange>;
  /** What /metrics shows. */
  metricsText(): Promise<string>;
  /** All so far. */
  securityEvents(): readonly SecurityEvent[];
  /** Resolves when it is in effect. */
  setInspection(on: boolean): Promise<void>;
  /** `begun`: the door knows; `over`: with the exit code of its process, or the transactions that it left. */
  drain(): { readonly begun: Promise<void>; readonly over: Promise<number> };
  /** What everybody said, for a test that fails. */
  report(): string;
  stop(): Promise<void>;
}
