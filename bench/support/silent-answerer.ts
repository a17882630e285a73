import type { NotifyAnswerer } from '../../src/adapters/haproxy/notify.ts';
import { decodeMessages, encodeActions } from '../../src/spop/index.ts';
import { passActions } from './pass-actions.ts';

const pass = encodeActions(passActions);

/**
 * Reads all messages and arguments of a NOTIFY, analyses nothing, and says what the engine says when it found nothing.
 * All that the benchmark knows of the answerer's shape is here.
 */
export const silentAnswerer: NotifyAnswerer = {
  answer({ payload }, done) {
    if (decodeMessages(payload).length === 0) throw new Error('a NOTIFY without a message');
    done(pass);
  },
};
