/**
 * `grpc.health.v1.Health` (grpc/health/v1/health.proto): whether this server wants to be asked. Check is what Envoy's
 * `grpc_health_check` and kubelet call; Watch tells changes as they come.
 */
import { Buffer } from 'node:buffer';
import type { GrpcCall, GrpcCallHandler, GrpcMethod } from './method.ts';
import { GrpcStatus } from './status.ts';

export const healthCheckPath = '/grpc.health.v1.Health/Check';
export const healthWatchPath = '/grpc.health.v1.Health/Watch';

/** HealthCheckResponse: `status`, field 1, a varint. */
const response = {
  serving: Buffer.from([0x08, 1]),
  notServing: Buffer.from([0x08, 2]),
  serviceUnknown: Buffer.from([0x08, 3]),
} as const;

/** How a field of protobuf says where it ends. */
const WireType = { VARINT: 0, I64: 1, LEN: 2, I32: 5 } as const;
/** HealthCheckRequest: `service`, field 1. */
const serviceTag = (1 << 3) | WireType.LEN;

export class Health {
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  /** Whether it serves, by name; "" is the server as a whole. */
  readonly #serving: Map<string, boolean>;
  readonly #watches = new Set<Watch>();

  /** @param services that can be asked for; all are served until `setServing` says otherwise */
  constructor(services: readonly string[]) {
    this.#serving = new Map(['', ...services].map((service) => [service, true]));
    const check = (call: GrpcCall): GrpcCallHandler =>
      new Question(call, (asked) => this.#check(call, asked));
    const watch = (call: GrpcCall): GrpcCallHandler => new Watch(call, this.#watches, this.#serving);
    this.methods = new Map([
      [healthCheckPath, { open: check, isNeverBusy: true }],
      [healthWatchPath, { open: watch, isNeverBusy: true }],
    ]);
  }

  /** @param service undefined: all of them, and the server as a whole */
  setServing(serving: boolean, service?: string): void {
    const services = service === undefined ? [...this.#serving.keys()] : [service];
    for (const name of services) this.#serving.set(name, serving);
    for (const watch of this.#watches) watch.tell();
  }

  #check(call: GrpcCall, service: string | undefined): void {
    const serving = service === undefined ? undefined : this.#serving.get(service);
    if (service === undefined) call.end(GrpcStatus.INVALID_ARGUMENT, 'this is no HealthCheckRequest');
    else if (serving === undefined) call.end(GrpcStatus.NOT_FOUND, 'unknown service');
    else {
      call.send(responseOf(serving));
      call.end(GrpcStatus.OK);
    }
  }
}

/** A call whose only message is a HealthCheckRequest. */
class Question implements GrpcCallHandler {
  readonly #call: GrpcCall;
  readonly #answer: (service: string | undefined) => void;

  constructor(call: GrpcCall, answer: (service: string | undefined) => void) {
    this.#call = call;
    this.#answer = answer;
  }

  message(message: Buffer): void {
    this.#answer(serviceOf(message));
  }

  /** Nothing was asked, or the call was ended and this has no effect. */
  halfClosed(): void {
    this.#call.end(GrpcStatus.INVALID_ARGUMENT, 'a HealthCheckRequest is missing');
  }

  closed(): void {
    // Nothing is kept of it.
  }
}

/** Stays open, and tells every change. */
class Watch implements GrpcCallHandler {
  readonly #call: GrpcCall;
  readonly #all: Set<Watch>;
  readonly #serving: ReadonlyMap<string, boolean>;
  #service: string | undefined;
  #told: Buffer | undefined;

  constructor(call: GrpcCall, all: Set<Watch>, serving: ReadonlyMap<string, boolean>) {
    this.#call = call;
    this.#all = all;
    this.#serving = serving;
  }

  message(message: Buffer): void {
    const service = serviceOf(message);
    if (service === undefined || this.#service !== undefined) {
      this.#call.end(GrpcStatus.INVALID_ARGUMENT, 'one HealthCheckRequest is expected');
      return;
    }
    this.#service = service;
    this.#all.add(this);
    this.tell();
  }

  halfClosed(): void {
    if (this.#service === undefined) {
      this.#call.end(GrpcStatus.INVALID_ARGUMENT, 'a HealthCheckRequest is missing');
    }
  }

  /** It would never end by itself; its client watches on by another connection. */
  leaving(): void {
    this.#call.end(GrpcStatus.UNAVAILABLE, 'the connection ends');
  }

  closed(): void {
    this.#all.delete(this);
  }

  tell(): void {
    if (this.#service === undefined) return;
    const serving = this.#serving.get(this.#service);
    const status = serving === undefined ? response.serviceUnknown : responseOf(serving);
    if (status === this.#told) return;
    this.#told = status;
    this.#call.send(status);
  }
}

function responseOf(serving: boolean): Buffer {
  return serving ? response.serving : response.notServing;
}

/** `service` of a HealthCheckRequest, field 1, a string; undefined when the bytes are none. Other fields are passed over. */
function serviceOf(message: Buffer): string | undefined {
  let service = '';
  let position = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[position];
      if (byte === undefined) break;
      position += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  const lengthOf = (wireType: number): number => {
    if (wireType === WireType.VARINT) return varint() * 0;
    if (wireType === WireType.LEN) return varint();
    if (wireType === WireType.I64) return 8;
    return wireType === WireType.I32 ? 4 : Number.NaN;
  };
  while (position < message.length) {
    const tag = varint();
    const length = lengthOf(tag % 8);
    // Not a number, or more than there is.
    if (tag < 8 || !(length <= message.length - position)) return undefined;
    if (tag === serviceTag) service = message.toString('utf8', position, position + length);
    position += length;
  }
  return service;
}
