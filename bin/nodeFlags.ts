/**
 * How a node's process is started, which the first line of mpbp.ts says as well. On a machine with
 * much memory V8 gives its young generation 128 MiB; a node is as fast with a quarter of it.
 */
export const nodeFlags = ['--max-semi-space-size=16'] as const;
