import type { OutgoingHttpHeaders } from 'node:http2';
import { GrpcStatus } from './status.ts';

/** The longest message beside a status, in bytes on the wire; others may have read no more of a header list. */
const longestStatusMessage = 1_024;

const okTrailers: OutgoingHttpHeaders = { 'grpc-status': String(GrpcStatus.OK) };

/** Status of gRPC over HTTP2, "Responses": what a call ends with. */
export function trailersOf(status: GrpcStatus, message: string | undefined): OutgoingHttpHeaders {
  if (message === undefined || message === '') {
    return status === GrpcStatus.OK ? okTrailers : { 'grpc-status': String(status) };
  }
  return { 'grpc-status': String(status), 'grpc-message': percentEncoded(message) };
}

/** "Status-Message" of gRPC over HTTP2: UTF-8, all but printable ASCII and the percent sign itself. */
function percentEncoded(message: string): string {
  let encoded = '';
  for (const byte of Buffer.from(message)) {
    const printable = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    const next = printable
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    if (encoded.length + next.length > longestStatusMessage) break;
    encoded += next;
  }
  return encoded;
}
