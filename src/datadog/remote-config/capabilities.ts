/** Remote Config capabilities, as bits that Datadog's backend knows. Only what is supported is announced. */
export const capabilityBits = {
  activation: 1n,
  ipBlocking: 2n,
  ddRules: 3n,
  exclusions: 4n,
  requestBlocking: 5n,
  /** Datadog's agent never announces this one, because it does not block responses. */
  responseBlocking: 6n,
  userBlocking: 7n,
  customRules: 8n,
  customBlockingResponse: 9n,
  trustedIps: 10n,
  processorOverrides: 16n,
  customDataScanners: 17n,
  exclusionData: 18n,
  endpointFingerprint: 32n,
  sessionFingerprint: 33n,
  networkFingerprint: 34n,
  headerFingerprint: 35n,
  ddMultiConfig: 42n,
  traceTaggingRules: 43n,
} as const;

export type Capability = keyof typeof capabilityBits;

/** A big-endian bit set, base64. */
export function encodeCapabilities(capabilities: readonly Capability[]): string {
  let bits = 0n;
  for (const capability of capabilities) bits |= 1n << capabilityBits[capability];
  const hex = bits.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64');
}
