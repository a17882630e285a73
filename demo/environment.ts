/** Settings of the machine must not change what the demo shows; where the Datadog Agent is may. */
export function environmentWithoutOurs(): NodeJS.ProcessEnv {
  const ours = /^DD_(APPSEC|HAPROXY|SPOA|SERVICE_EXTENSION|TRACE_CLIENT_IP_HEADER|TRACE_OBFUSCATION)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}
