/** gRPC over HTTP/2, the server's side of it. See GrpcServer. */
export {
  type CallEnd,
  type CallTrouble,
  type GrpcCall,
  type GrpcCallHandler,
  type GrpcMethod,
  metadataValue,
} from './method.ts';
export type { GrpcServerObserver, GrpcServerOptions } from './server-options.ts';
export { GrpcStatus } from './status.ts';
