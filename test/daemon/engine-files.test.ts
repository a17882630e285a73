import { describe, expect, it } from 'vitest';
import { createBlockPages } from '../../src/daemon/engine-files.ts';
import { readConfig } from '../../src/daemon/settings.ts';

describe('block page templates, as the program starts', () => {
  const config = readConfig({ maxFrameSizeBytes: '24572' }, {});
  const started = (html: string) => () =>
    createBlockPages(config, { pages: { html, json: undefined }, servicePages: new Map() });

  it('may take what a frame leaves beside the room for headers that HAProxy adds', () => {
    expect(started('x'.repeat(16_384))).not.toThrow();
  });

  it('are refused when no connection could ever carry them, as a page would be substituted', () => {
    expect(started('x'.repeat(16_385))).toThrow(/16385 bytes cannot fit into a frame of 24572/);
  });
});
