// Part i: what a mirrored request costs the receiver itself, without its analysis, beside the least that node:http costs.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { dieTogether } from '../test/support/child-processes.ts';
import { median } from './support/median.ts';
import { type Section, whole } from './support/table.ts';

const kinds = ['node:http', 'ours'] as const;
const rounds = 3;
const warmUp = 4000;
const measured = 20_000;
const connections = 16;

const body = 'x'.repeat(2048);
const request = Buffer.from(
  [
    'POST /api/orders?page=1 HTTP/1.1',
    'Host: shop.example.com',
    'X-Real-IP: 203.0.113.7',
    'X-Forwarded-For: 203.0.113.7',
    'X-Forwarded-Proto: https',
    'X-Request-ID: 0123456789abcdef0123456789abcdef',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'Accept: application/json',
    'Accept-Encoding: gzip, deflate, br',
    'Cookie: session=0123456789abcdef0123456789abcdef',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n'),
);

export async function benchReceiver(): Promise<Section> {
  const costsUs: Record<(typeof kinds)[number], number[]> = { 'node:http': [], ours: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of kinds) costsUs[kind].push(await costOf(kind));
  }
  const [bare, ours] = kinds.map((kind) => median(costsUs[kind])) as [number, number];
  return {
    title: 'i  receiving a mirrored request of 2 KB, without its analysis',
    columns: ['node:http', 'ours'],
    rows: [
      { label: 'CPU in microseconds a request, median of three', cells: [whole(bare), whole(ours)] },
      { label: 'ours in percent', cells: ['', whole((100 * ours) / bare)], target: '100 at most' },
    ],
    notes: [
      `${connections} kept connections, one request at a time on each; ours includes the copy for the engine`,
    ],
    figures: { costsUs },
  };
}

/** Microseconds of CPU a request, of the whole process. */
async function costOf(kind: (typeof kinds)[number]): Promise<number> {
  const child = fork(join(import.meta.dirname, 'support', 'receiver-main.ts'), [kind]);
  dieTogether(child);
  const [port] = (await once(child, 'message')) as [number];
  const usedUs = async (): Promise<number> => {
    child.send('cpu');
    const [{ user, system }] = (await once(child, 'message')) as [NodeJS.CpuUsage];
    return user + system;
  };
  try {
    await load(port, warmUp);
    const before = await usedUs();
    await load(port, measured);
    return ((await usedUs()) - before) / measured;
  } finally {
    child.kill();
  }
}

async function load(port: number, requests: number): Promise<void> {
  await Promise.all(
    Array.from({ length: connections }, () => oneConnection(port, Math.ceil(requests / connections))),
  );
}

function oneConnection(port: number, requests: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let left = requests;
    let tail = '';
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      const parts = (tail + bytes.toString('latin1')).split('\r\n\r\n');
      tail = parts.pop() ?? '';
      left -= parts.length;
      if (left > 0) socket.write(request);
      else {
        socket.destroy();
        resolve();
      }
    });
    socket.write(request);
  });
}
