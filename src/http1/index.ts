/** HTTP/1 requests as a server behind a proxy has to read them: bytes in, events out. Imports nothing of ours. */
export type { BodyFraming, Framing } from './body-framing.ts';
export { type Field, parseFields, parseRequestHead, type RequestHead } from './request-head.ts';
export { type RequestEvent, RequestReader } from './request-reader.ts';
