import type { WafValue } from '../waf/waf-value.ts';

/** A body as the WAF wants to see it. */
export interface InspectedBody {
  /** For `server.request.body` or `server.response.body`; undefined when there is nothing to look at. */
  readonly body: WafValue | undefined;
  /** The file names of a multipart form, for `server.request.body.filenames`. */
  readonly filenames: readonly string[];
  readonly format: 'json' | 'form' | 'multipart' | 'text' | 'binary' | 'empty';
  /** Not the whole body was seen: cut by the sender, by a limit, or its end is missing. */
  readonly partial: boolean;
  /** What is wrong with the body, other than being truncated; undefined if nothing is. */
  readonly malformed: string | undefined;
}
