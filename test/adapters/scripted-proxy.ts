import type {
  Ability,
  DoorDriver,
  Exchange,
  OpenExchange,
  OriginResponse,
  Outcome,
  Step,
} from './door-driver.ts';
import type { OpenDoors } from './open-doors.ts';
import { type Begun, mistakes } from './watched-row.ts';

/** What a door made of one message. */
export interface Answer {
  /** In place of the origin's response. */
  readonly block?: { readonly status: number; readonly body: string };
  readonly wantsBody: boolean;
}

/** One transaction in the words of a door. A door never leaves a message without an answer. */
export interface Wire {
  head(exchange: Exchange): Promise<Answer>;
  requestBody(bytes: Buffer, more: boolean): Promise<Answer>;
  response(response: OriginResponse): Promise<Answer>;
  responseBody(bytes: Buffer): Promise<Answer>;
  /** Nothing more will come. */
  end(aborted: boolean): Promise<void>;
}

/** What a driver in the same process adds to the proxy below. */
export interface ScriptedDoor {
  readonly door: string;
  /** Undefined: nobody listens any more, and traffic passes unseen. */
  connect(): Wire | undefined;
  readonly blocks: Ability;
  readonly seesResponses: Ability;
  readonly tellsAborts: Ability;
  readonly namesApplications: Ability;
  readonly vouchesForClients: Ability;
  readonly sheds: Ability;
  readonly hostileBytes: DoorDriver['hostileBytes'];
  /** The proxy waits for all of a body before the door gets it. */
  readonly collectsBodies: boolean;
  stop(): Promise<void>;
}

const page: OriginResponse = { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>page</p>' };

/** A proxy in the same process: what HAProxy or Envoy do between client, door and origin. */
export class ScriptedProxy implements DoorDriver {
  readonly door: string;
  readonly blocks: Ability;
  readonly seesResponses: Ability;
  readonly headComesFirst: Ability = { can: true };
  readonly tellsAborts: Ability;
  readonly namesApplications: Ability;
  readonly vouchesForClients: Ability;
  readonly sheds: Ability;
  readonly peerAddress: string = '203.0.113.7';
  readonly mistakes = { can: mistakes };
  readonly hostileBytes: DoorDriver['hostileBytes'];
  readonly disorder: DoorDriver['disorder'];
  readonly #scripted: ScriptedDoor;
  readonly #process: OpenDoors;
  readonly #begun: Begun;

  constructor(scripted: ScriptedDoor, process: OpenDoors, begun: Begun) {
    this.door = scripted.door;
    this.blocks = scripted.blocks;
    this.seesResponses = scripted.seesResponses;
    this.tellsAborts = scripted.tellsAborts;
    this.namesApplications = scripted.namesApplications;
    this.vouchesForClients = scripted.vouchesForClients;
    this.sheds = scripted.sheds;
    this.hostileBytes = scripted.hostileBytes;
    this.disorder =
      'can' in scripted.tellsAborts
        ? { can: (steps) => this.#inDisorder(steps) }
        : { cannot: 'what waits for a body would be waited for until it expires' };
    this.#scripted = scripted;
    this.#process = process;
    this.#begun = begun;
  }

  async open(exchange: Exchange): Promise<OpenExchange> {
    const open = new ScriptedExchange(this.#scripted, exchange);
    await open.begin();
    return open;
  }

  metricsText(): Promise<string> {
    return this.#process.metricsText();
  }

  securityEvents(): ReturnType<DoorDriver['securityEvents']> {
    return this.#process.securityEvents();
  }

  async setInspection(on: boolean): Promise<void> {
    this.#process.engines.enabled = on;
  }

  drain(): ReturnType<DoorDriver['drain']> {
    return { begun: Promise.resolve(), over: this.#process.drain() };
  }

  report(): string {
    return this.#process.report();
  }

  stop(): Promise<void> {
    return this.#scripted.stop();
  }

  async #inDisorder(steps: readonly Step[]): Promise<number> {
    const wire = this.#scripted.connect();
    if (wire === undefined) throw new Error('the door is closed');
    const before = this.#begun.size;
    for (const step of steps) await messageOf(wire, step);
    await wire.end(false);
    return this.#begun.size - before;
  }
}

function messageOf(wire: Wire, step: Step): Promise<Answer> {
  switch (step) {
    case 'request':
      return wire.head({ target: '/disorder', headers: { 'content-length': '7' }, body: '{"a":1}' });
    case 'request-body':
      return wire.requestBody(Buffer.from('{"a":1}'), false);
    case 'response':
      return wire.response({ headers: { 'content-type': 'application/json' } });
    case 'response-body':
      return wire.responseBody(Buffer.from('{"b":2}'));
  }
}

/** Of the body of a request. */
export function piecesOf({ body = [] }: Exchange): Buffer[] {
  const pieces = typeof body === 'string' || Buffer.isBuffer(body) ? [body] : body;
  return pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece));
}

class ScriptedExchange implements OpenExchange {
  readonly #door: ScriptedDoor;
  readonly #exchange: Exchange;
  readonly #wire: Wire | undefined;
  readonly #pieces: Buffer[];
  readonly #whole: Buffer;
  #held: Buffer[] = [];
  #last: Answer = { wantsBody: false };

  constructor(door: ScriptedDoor, exchange: Exchange) {
    this.#door = door;
    this.#exchange = exchange;
    this.#wire = door.connect();
    this.#pieces = piecesOf(exchange);
    this.#whole = Buffer.concat(this.#pieces);
  }

  async begin(): Promise<void> {
    const { headers, ...exchange } = this.#exchange;
    const framing = this.#whole.length === 0 ? {} : { 'content-length': String(this.#whole.length) };
    const all = { host: 'site.example', ...framing, ...headers };
    this.#last = (await this.#wire?.head({ ...exchange, headers: all })) ?? this.#last;
  }

  async piece(): Promise<void> {
    const piece = this.#pieces.shift();
    if (piece === undefined || !this.#goesOn) return;
    const more = this.#pieces.length > 0;
    this.#held.push(piece);
    if (more && this.#door.collectsBodies) return;
    const bytes = Buffer.concat(this.#held);
    this.#held = [];
    this.#last = (await this.#wire?.requestBody(bytes, more)) ?? this.#last;
  }

  async finish(): Promise<Outcome> {
    while (this.#pieces.length > 0) await this.piece();
    if (this.#last.block !== undefined) return await this.#over({ ...this.#last.block, received: undefined });
    const { response = page } = this.#exchange;
    if (response === 'never') throw new Error('the origin never answers');
    const received = this.#whole.toString('utf8');
    const { status = 200, body = '' } = response;
    if ('can' in this.#door.seesResponses) await this.#pass(response, body);
    return await this.#over({ ...(this.#last.block ?? { status, body }), received });
  }

  async abort(): Promise<void> {
    await this.#wire?.end(true);
  }

  /** Once more of a body is not wanted, it passes. */
  get #goesOn(): boolean {
    return this.#last.block === undefined && this.#last.wantsBody;
  }

  async #pass(response: OriginResponse, body: string): Promise<void> {
    this.#last = (await this.#wire?.response(response)) ?? this.#last;
    if (this.#goesOn) this.#last = (await this.#wire?.responseBody(Buffer.from(body))) ?? this.#last;
  }

  async #over(outcome: Outcome): Promise<Outcome> {
    await this.#wire?.end(false);
    return outcome;
  }
}
