import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { AgentAddress } from '../../src/datadog/agent-http.ts';
import { watchAgent } from '../../src/datadog/agent-watch.ts';
import { FakeAgent } from '../support/fake-agent.ts';

/** The first line that is logged about an Agent at this address. */
function firstLine(address: AgentAddress): Promise<Record<string, unknown>> {
  return new Promise((resolve) => {
    const logger = pino(
      { base: null },
      {
        write(line: string) {
          stop();
          resolve(JSON.parse(line));
        },
      },
    );
    const stop = watchAgent(address, logger);
  });
}

describe('the watch for a Datadog Agent', () => {
  it('says when it reached one', async () => {
    const agent = await FakeAgent.start();
    const line = await firstLine({ agentHost: '127.0.0.1', agentPort: agent.port, agentUrl: undefined });
    expect(line).toMatchObject({
      level: 30,
      msg: 'connected to the Datadog Agent',
      agent: `http://127.0.0.1:${agent.port}`,
    });
    agent.stop();
  });

  it.each<[string, AgentAddress]>([
    ['nobody listens', { agentHost: '127.0.0.1', agentPort: 1, agentUrl: undefined }],
    ['the socket is missing', { agentHost: 'x', agentPort: 1, agentUrl: 'unix:///no/such/socket' }],
    ['the URL is none', { agentHost: 'x', agentPort: 1, agentUrl: 'nonsense' }],
    ['the URL has another scheme', { agentHost: 'x', agentPort: 1, agentUrl: 'ftp://localhost' }],
  ])('says that all else works when %s', async (_what, address) => {
    const line = await firstLine(address);
    expect(line).toMatchObject({ level: 40, reason: expect.stringMatching(/./) });
    expect(line['msg']).toContain('cannot reach the Datadog Agent');
  });
});
