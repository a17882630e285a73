import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isProven, peerAnswerer } from '../../../../src/adapters/haproxy/peers/proof.ts';

const SECRET = 'a secret of ours';
const GREETING = { instance: '0123456789abcdef', nonce: '00112233445566778899aabbccddeeff' };
const OWN = 'fedcba9876543210';
const answer = peerAnswerer(OWN, SECRET)(GREETING);

describe('a proof', () => {
  // Two versions of the agent must agree on it during an upgrade.
  it('is what it always was', () => {
    const signed = `appsec-edge peer 1\n${GREETING.nonce}\n${GREETING.instance}\n${OWN}`;
    expect(answer).toEqual({
      instance: OWN,
      proof: createHmac('sha256', SECRET).update(signed).digest('hex'),
    });
    expect(isProven(SECRET, GREETING, answer)).toBe(true);
  });

  it.each([
    ['another secret', 'another secret of ours', GREETING, answer],
    ['another nonce', SECRET, { ...GREETING, nonce: GREETING.nonce.replace('0', '1') }, answer],
    ['another that connects', SECRET, { ...GREETING, instance: OWN }, answer],
    ['another that answers', SECRET, GREETING, { ...answer, instance: GREETING.instance }],
    ['no proof', SECRET, GREETING, { ...answer, proof: undefined }],
    ['half of it', SECRET, GREETING, { ...answer, proof: answer.proof?.slice(0, 32) }],
    ['an empty one', SECRET, GREETING, { ...answer, proof: '' }],
  ])('does not hold with %s', (_, secret, greeting, given) => {
    expect(isProven(secret, greeting, given)).toBe(false);
  });

  it('is not given without a secret', () => {
    expect(peerAnswerer(OWN, undefined)(GREETING)).toEqual({ instance: OWN, proof: undefined });
  });
});
