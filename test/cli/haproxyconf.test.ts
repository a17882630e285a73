import { describe, expect, it } from 'vitest';
import {
  defaultBackend,
  type HaproxyconfOptions,
  haproxyconfFileNames,
  readShippedFile,
  renderHaproxyconf,
} from '../../src/cli/haproxyconf-files.ts';

const shippedDefaults: HaproxyconfOptions = {
  servers: ['127.0.0.1:3000'],
  spoePath: '/etc/haproxy/spoe.cfg',
  luaPath: '/etc/haproxy/lua/datadog_aap_blocking_response.lua',
  processingTimeout: '200ms',
  timeout: '1m',
  backend: defaultBackend,
};

/** As HAProxy writes a variable and what counts without it. */
function variable(name: string, value: string): string {
  return `\${${name}-${value}}`;
}

function changedLines(options: Partial<HaproxyconfOptions>): string[] {
  const texts = renderHaproxyconf({ ...shippedDefaults, ...options });
  return haproxyconfFileNames.flatMap((name) => {
    const shipped = new Set(readShippedFile(name).split('\n'));
    return (texts.get(name) ?? '').split('\n').filter((line) => !shipped.has(line));
  });
}

describe('haproxyconf', () => {
  it('writes the shipped files as they are when asked for their own defaults', () => {
    expect(changedLines({})).toEqual([]);
  });

  it('puts one server where the default stood', () => {
    expect(changedLines({ servers: ['[2001:db8::1]:3000'] })).toEqual([
      '    presetenv DD_SPOA_ADDRESS [2001:db8::1]:3000',
      `    server spoa1 "${variable('DD_SPOA_ADDRESS', '[2001:db8::1]:3000')}"`,
    ]);
  });

  it('gives each further server a line of its own', () => {
    expect(changedLines({ servers: ['127.0.0.1:3000', '10.0.0.2:3000', 'unix@/run/spoa.sock'] })).toEqual([
      '    server spoa2 10.0.0.2:3000',
      '    server spoa3 unix@/run/spoa.sock',
    ]);
  });

  it('puts paths wherever the default stood, quoted when they need it', () => {
    expect(changedLines({ spoePath: '/my files/spoe.cfg', luaPath: '/x.lua' })).toEqual([
      '    presetenv DD_SPOA_SPOA_CONF_FILE "/my files/spoe.cfg"',
      '    presetenv DD_SPOA_LUA_FILE /x.lua',
      `    filter spoe engine dd-spoe config "${variable('DD_SPOA_SPOA_CONF_FILE', '/my files/spoe.cfg')}"`,
    ]);
  });

  it('puts time-outs and the name of the backend into all files', () => {
    expect(changedLines({ timeout: '5m', processingTimeout: '90ms', backend: 'waf' })).toEqual([
      '    presetenv DD_SPOA_TIMEOUT 5m',
      '    presetenv DD_SPOA_PROCESSING_TIMEOUT 90ms',
      '    acl dd_agent_up nbsrv(waf) gt 0',
      'defaults waf-defaults',
      'backend waf from waf-defaults',
      `    timeout idle       "${variable('DD_SPOA_TIMEOUT', '5m')}"`,
      `    timeout processing "${variable('DD_SPOA_PROCESSING_TIMEOUT', '90ms')}"`,
      '    use-backend waf',
      `    args "timeout=str(${variable('DD_SPOA_TIMEOUT', '5m')})"`,
      `    args "processing_timeout=str(${variable('DD_SPOA_PROCESSING_TIMEOUT', '90ms')})"`,
      `    args "processing_timeout=str(${variable('DD_SPOA_PROCESSING_TIMEOUT', '90ms')})"`,
      `    args "processing_timeout=str(${variable('DD_SPOA_PROCESSING_TIMEOUT', '90ms')})"`,
      `    args "processing_timeout=str(${variable('DD_SPOA_PROCESSING_TIMEOUT', '90ms')})"`,
    ]);
  });
});
