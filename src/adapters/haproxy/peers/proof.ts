/**
 * How an agent knows that it speaks to an agent of ours.
 *
 * What needs protection is what an agent *sends* to a peer: requests and responses of clients, with their cookies and
 * bodies. They must not go to whatever happens to listen at a configured address, such as a pod that got the address
 * of one of ours. So the side that connects draws a nonce, and the side that answers proves with it that it knows the
 * secret. Nothing but the two HELLOs is exchanged before that. The proof names both processes and who of them
 * connected, so one that was made for another connection, or by the connecting side itself, does not fit.
 *
 * The connecting side proves nothing, and the receiver does not ask it to. Anyone who reaches the SPOP port can send any
 * NOTIFY as HAProxy, without a secret. Claiming to be a peer allows less than that (its messages are not forwarded), yields
 * the same answers, and the connection is closed as soon as nothing else delays a shutdown. A second step, with a nonce from
 * the receiver, would therefore prevent nothing. The network must restrict the SPOP port to HAProxy and the agents.
 *
 * The price: whoever reaches the port gets proofs for nonces of its choice and can try secrets on them at leisure. A
 * short secret is therefore refused by the settings; a random one of 16 characters or more cannot be found that way.
 *
 * Not protected, without TLS: links are not encrypted. Somebody who can read or change packets between agents, or who answers at a
 * configured address *and* reaches a real peer (and so can pass its proof on), reads what is relayed. Against these
 * only TLS (../tls.ts) or an encrypted network helps, for relayed messages as for those of HAProxy.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { PeerAnswer, PeerGreeting } from '../../../spop/index.ts';

/**
 * What an agent answers to the HELLO of another.
 * @param instance our own
 */
export function peerAnswerer(
  instance: string,
  secret: string | undefined,
): (greeting: PeerGreeting) => PeerAnswer {
  return (greeting) => ({
    instance,
    proof: secret === undefined ? undefined : proofOf(secret, greeting, instance).toString('hex'),
  });
}

/** Whether the answer to our greeting comes from somebody who knows the secret. */
export function isProven(secret: string, greeting: PeerGreeting, answer: PeerAnswer): boolean {
  if (answer.proof === undefined) return false;
  const given = Buffer.from(answer.proof, 'hex');
  const expected = proofOf(secret, greeting, answer.instance);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** All parts have a fixed length: no two sets of them make the same text. */
function proofOf(secret: string, greeting: PeerGreeting, answering: string): Buffer {
  return createHmac('sha256', secret)
    .update(`appsec-edge peer 1\n${greeting.nonce}\n${greeting.instance}\n${answering}`)
    .digest();
}
