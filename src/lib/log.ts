/**
 * What the rest of the program needs of a logger. Levels say who must act: `error` the operator
 * now,
 * `warn` soon, `info` state changed, `debug` us. Fields, not sentences.
 */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | null>>;

export type Log = {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  child(name: string): Log;
};

export const silentLog: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLog,
};
