/**
 * gRPC over HTTP/2, the server's side of it, on `node:http2`: whole messages as bytes in, messages out. What the messages
 * say is of no concern here.
 *
 * server.ts listens, drains and counts; session.ts is one connection, with all that bounds a client; call.ts is one stream;
 * message-splitter.ts cuts its bytes into messages, without any IO. health.ts answers health checks.
 *
 *     const server = new GrpcServer({ methods: new Map([['/package.Service/Method', { open }]]), … });
 *     await server.listen({ host: '0.0.0.0', port: 443 });
 *
 *     function open(call: GrpcCall): GrpcCallHandler {
 *       return {
 *         message: (bytes) => call.send(answerTo(bytes)),
 *         halfClosed: () => call.end(GrpcStatus.OK),
 *         closed: () => undefined,
 *       };
 *     }
 */
export { healthCheckPath, healthWatchPath } from './health.ts';
export { MessageError, MessageSplitter, withPrefix } from './message-splitter.ts';
export {
  type CallEnd,
  type GrpcCall,
  type GrpcCallHandler,
  type GrpcMethod,
  metadataValue,
} from './method.ts';
export { GrpcServer } from './server.ts';
export type { GrpcServerObserver, GrpcServerOptions } from './server-options.ts';
export { GrpcStatus } from './status.ts';
export { type CallTrouble, defaultStatusOf } from './trouble.ts';
