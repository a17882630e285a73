/**
 * How an agent knows that it speaks to an agent of ours.
 *
 * What needs protection is what an agent *sends* to a peer: requests and responses of clients, with their cookies and
 * bodies. They must not go to whatever happens to listen at a configured address, such as a pod that got the address
 * of one of ours. So the side that connects draws a nonce, and the side that answers proves with it that it knows the
 * secret. Nothing but the two HELLOs is exchanged before that. The proof names both processes and who of them
 * connected, so one that was made for another connection, or by the connecting side itself, does not fit.
 *
 * The side that connects proves nothing, and the receiver asks for nothing. Whoever reaches the SPOP port can send any
 * NOTIFY as HAProxy, without a secret; saying to be a peer gets less than that (its messages are not relayed further),
 * gets no other answers, and is said goodbye to as soon as nothing else holds a shutdown. A second step, with a nonce
 * of the receiver, would keep nobody from anything. The SPOP port itself must be kept to HAProxy and the agents by the
 * network, as ever.
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
