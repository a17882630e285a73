import { ProcessingRequestField } from './fields.ts';

/** The messages of a stream, by what they are about. One stream is one HTTP transaction. */
export const messageKinds = [
  ...(['request-headers', 'response-headers', 'request-body'] as const),
  ...(['response-body', 'request-trailers', 'response-trailers'] as const),
];

export type MessageKind = (typeof messageKinds)[number];

/** What a message begins or goes on with. */
export type Direction = 'request' | 'response';

/** The oneof of ProcessingRequest: numbers 2 to 7, in the order of `messageKinds`. */
export function kindOfRequestField(field: number): MessageKind | undefined {
  return messageKinds[field - ProcessingRequestField.requestHeaders];
}

/** The field of ProcessingResponse that answers this kind. */
export function answerFieldOf(kind: MessageKind): number {
  return messageKinds.indexOf(kind) + 1;
}

export function directionOf(kind: MessageKind): Direction {
  return kind.startsWith('request') ? 'request' : 'response';
}
