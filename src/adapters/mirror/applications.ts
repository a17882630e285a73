import type { Parser } from '../../config/parsers.ts';
import { type HeaderList, headerValue } from '../../engine/http.ts';

/** `shop.example.com` or `*.example.com`, and its service. */
export interface HostService {
  /** In lower case. */
  readonly host: string;
  readonly service: string;
}

export const hostServices: Parser<readonly HostService[]> = {
  allowed:
    "hosts and their services separated by commas, for instance 'shop.example.com=shop,*.example.com=other'",
  parse(text) {
    const services: HostService[] = [];
    for (const part of text.split(',')) {
      const match = /^\s*((?:\*\.)?[^\s=*:]+|\[[\da-fA-F:.]+\])\s*=\s*(\S.*?)\s*$/.exec(part);
      if (match === null) return undefined;
      services.push({ host: (match[1] ?? '').toLowerCase(), service: match[2] ?? '' });
    }
    return services;
  },
};

export interface ApplicationSettings {
  /** Name of the field in which the proxy names the service, in lower case; undefined: none is looked at. */
  readonly field: string | undefined;
  readonly hosts: readonly HostService[];
  /** Of the addresses listened on, by their place in the setting. */
  readonly listeners: readonly (string | undefined)[];
}

/** Which service a request belongs to: what its proxy says, then its host, then where it arrived. */
export class Applications {
  readonly #settings: ApplicationSettings;
  readonly #exact = new Map<string, string>();
  /** By what follows the asterisk, `.example.com`; the longest first. */
  readonly #wildcards: { readonly suffix: string; readonly service: string }[] = [];

  constructor(settings: ApplicationSettings) {
    this.#settings = settings;
    for (const { host, service } of settings.hosts) {
      if (host.startsWith('*')) this.#wildcards.push({ suffix: host.slice(1), service });
      else if (!this.#exact.has(host)) this.#exact.set(host, service);
    }
    this.#wildcards.sort((one, other) => other.suffix.length - one.suffix.length);
  }

  /**
   * Undefined: the agent's own.
   * @param isTrusted whether the sender's fields are believed
   */
  serviceOf(headers: HeaderList, listener: number, isTrusted: boolean): string | undefined {
    const { field, listeners } = this.#settings;
    const named = field !== undefined && isTrusted ? headerValue(headers, field)?.trim() : undefined;
    return named || this.#ofHost(headerValue(headers, 'host')) || listeners[listener];
  }

  #ofHost(hostField: string | undefined): string | undefined {
    if (hostField === undefined || (this.#exact.size === 0 && this.#wildcards.length === 0)) return undefined;
    // A root dot and a port belong to the same host.
    const host = hostField.trim().toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
    return this.#exact.get(host) ?? this.#wildcards.find(({ suffix }) => host.endsWith(suffix))?.service;
  }
}
