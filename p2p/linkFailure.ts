/**
 * Whether an error that nobody caught is only that of a link that went away: the multiplexer opens
 * a stream in a microtask of its own, and throws there when the link was closed in between. The
 * link is gone and everything else is sound; no peer may stop a node by hanging up.
 */
export function isLinkFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const isOfStreams = /^(Stream|Connection|Muxer)\w*Error$/.test(error.name);
  const origin = (error.stack ?? '').split('\n').find((line) => /^\s+at /.test(line)) ?? '';
  return isOfStreams && /node_modules\/(@libp2p|@chainsafe|libp2p)\//.test(origin);
}
