// No file descriptor is left to the agent.
import { execFileSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { describeOneHaproxy } from '../e2e/support/stubbed-proxy.ts';
import { sceneOfTest, underLoad } from './support/fault.ts';
import { vitalsOf } from './support/scene.ts';

describeOneHaproxy('file descriptors', (binary) => {
  it('used up: connections that are open are served on, and all is well when there are some again', async () => {
    const shipped = { DD_SPOA_PROCESSING_TIMEOUT: '200ms', DD_SPOA_HELLO_TIMEOUT: '100ms' };
    const scene = await sceneOfTest(binary, { env: shipped });
    const [agent] = scene.agents;
    if (agent === undefined) throw new Error('there is no agent');
    await underLoad(
      scene,
      { name: 'file descriptors used up', binary, promise: 'some lost' },
      async (load) => {
        const open = vitalsOf(agent.pid).descriptors;
        limit(agent.pid, open + 5);
        const sockets = Array.from({ length: 40 }, () => quiet(connect(agent.port, '127.0.0.1')));
        onTestFinished(() => {
          for (const socket of sockets) socket.destroy();
        });
        await load.seen(600);
        expect(vitalsOf(agent.pid).descriptors).toBeLessThanOrEqual(open + 6);
        for (const socket of sockets) socket.destroy();
        limit(agent.pid, 1024);
        await load.seen(300);
      },
    );
    expect((await agent.health('/')).status).toBe(200);
  });

  it('few from the start: it works with those', async () => {
    const wrapper = ['prlimit', '--nofile=64', '--'];
    const scene = await sceneOfTest(binary, { daemon: { wrapper } });
    await underLoad(
      scene,
      { name: '64 file descriptors from the start', binary, promise: 'none lost' },
      (load) => load.seen(300),
    );
  });
});

function limit(pid: number, descriptors: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${descriptors}:1024`]);
}

function quiet(socket: Socket): Socket {
  return socket.on('error', () => socket.destroy());
}
