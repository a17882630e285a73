/** The daemon under test, with settings under which everything it holds must be gone after seconds. */
import { type Daemon, startDaemon } from '../test/e2e/support/daemon.ts';

/** Sessions that would begin longer transactions are not played. */
export const longestTimeToLiveMs = 3_000;

export interface Target {
  readonly daemon: Daemon;
  readonly port: number;
  readonly maxFrameSizeBytes: number;
  /** Requests that announce a body live for ten minutes. Without them, nothing may be left after a round. */
  readonly uploads: { allowed: boolean; sent: number };
}

/** So few that rounds come to the bound, and that all of them can be driven out in the end. */
export const maxTransactions = 2_000;

/** Small enough that sessions come to it. */
const maxFrameSizeBytes = 131_072;

/** @param peerPort where a hostile agent listens that the daemon is told to link to */
export async function startTarget(peerPort: number): Promise<Target> {
  const daemon = await startDaemon({
    env: {
      DD_HAPROXY_SPOA_ENGINE_THREADS: '2',
      DD_HAPROXY_SPOA_MAX_FRAME_SIZE: String(maxFrameSizeBytes),
      DD_HAPROXY_SPOA_TRANSACTION_TIMEOUT: '2s',
      DD_HAPROXY_SPOA_PROCESSING_TIMEOUT: '60s',
      DD_HAPROXY_SPOA_HELLO_TIMEOUT: '5s',
      DD_HAPROXY_SPOA_IDLE_TIMEOUT: '1m',
      DD_HAPROXY_SPOA_MAX_CONNECTIONS: '12000',
      DD_HAPROXY_SPOA_MAX_TRANSACTIONS: String(maxTransactions),
      DD_HAPROXY_SPOA_PEERS: `127.0.0.1:${peerPort}`,
      DD_HAPROXY_SPOA_LOG_LEVEL: 'warn',
      DD_APPSEC_BODY_PARSING_SIZE_LIMIT: '10000000',
    },
  });
  return { daemon, port: daemon.port, maxFrameSizeBytes, uploads: { allowed: true, sent: 0 } };
}

/** Resident memory, in megabytes. */
export async function residentMegabytes(daemon: Daemon): Promise<number> {
  const { body } = await daemon.health('/metrics');
  const bytes = /^process_resident_memory_bytes (\S+)/m.exec(body)?.[1];
  if (bytes === undefined) throw new Error('the daemon does not tell its memory');
  return Math.round(Number(bytes) / 1_048_576);
}
