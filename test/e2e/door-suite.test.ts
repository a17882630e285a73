// What every door owes (test/adapters/door-suite.ts), of the built daemon behind real proxies.
import { itOwesWhatDoorsOwe } from '../adapters/door-suite.ts';
import { freePort } from './support/free-port.ts';
import { startHaproxy } from './support/haproxy.ts';
import { type RealDoorPlan, type RealProxy, startRealDoor } from './support/real-door.ts';
import { type ConfFile, confEnvironment, proxyConfig } from './support/shipped-config.ts';
import { describeEachHaproxy, describeOneHaproxy, type FoundHaproxy } from './support/stubbed-proxy.ts';

/** As an operator does: above the first message, where the commented examples stand. */
function withApplication(file: ConfFile, text: string): string {
  if (file !== 'frontend-config.cfg') return text;
  const mark = '    # http-request set-var(txn.dd_service)';
  const reports =
    '    http-request set-var(txn.dd_mode) str(report) if { req.hdr(host) -i reports.example }\n';
  if (!text.includes(mark)) throw new Error('frontend-config.cfg has no example of an application');
  return text.replace(mark, `${reports}${mark}`);
}

function haproxyPlan(binary: FoundHaproxy): RealDoorPlan {
  return {
    door: 'haproxy',
    portOf: ({ port }) => port,
    startProxy: async (daemon, originPort): Promise<RealProxy> => {
      const httpPort = await freePort();
      const haproxy = await startHaproxy({
        binary: binary.path,
        config: proxyConfig({ httpPort, originPort, edit: withApplication }),
        readyPort: httpPort,
        env: {
          ...confEnvironment(daemon.port),
          // Patient as a busy machine needs it; what nobody ends expires soon enough to be waited for.
          ...{ DD_SPOA_PROCESSING_TIMEOUT: '3s', DD_SPOA_HELLO_TIMEOUT: '3s', DD_SPOA_TIMEOUT: '8s' },
        },
      });
      return {
        httpPort,
        report: () => haproxy.log.lines.slice(-100).join('\n'),
        stop: () => haproxy.stop(),
      };
    },
    blocks: { can: true },
    seesResponses: { can: true },
    headComesFirst: { can: true },
    tellsAborts: { cannot: 'SPOE has no word for a client that went away: its transaction expires' },
    applicationThatReports: { can: { host: 'reports.example' } },
  };
}

describeEachHaproxy("HAProxy's door", (binary) => {
  itOwesWhatDoorsOwe(() => startRealDoor(haproxyPlan(binary)));
});

describeOneHaproxy("HAProxy's door in observability mode", (binary) => {
  itOwesWhatDoorsOwe(() =>
    startRealDoor({
      ...haproxyPlan(binary),
      daemonEnv: { DD_HAPROXY_SPOA_OBSERVABILITY_MODE: 'true' },
      blocks: { cannot: 'in observability mode HAProxy is answered before the analysis' },
    }),
  );
});
