/** Votes and proposals further ahead than this are not kept. */
export const viewsAheadMax = 64;
/** Whole proposals further ahead than this are not kept: each may be as large as a block. */
export const proposalsAheadMax = 4;
/** Nullifications that travel inside a proposal; the rest are fetched. */
export const justifyNullificationsMax = 32;
/** What all certificates inside a proposal may take. */
export const justifyBytesMax = 192 * 1024;
/** Votes of a restarted validator that one peer tells it of. */
export const recalledVotesMax = 64;
/** Views whose certificates are sent again at a standstill. */
export const standstillViewsMax = 16;
/** The gap, in blocks, from which a range is fetched instead of single blocks. */
export const rangeGapMin = 8n;
/** Milliseconds between two answers of the same kind to one peer. */
export const answerIntervalMs = 50;
export const statusIntervalMs = 5_000;
/** With no more validators than this, everyone passes a new certificate on to everyone. */
export const relayToAllMax = 32;
