/**
 * The three kinds of failure, never mixed. Untrusted input gets a *verdict* (a value); our own bugs
 * get an *assertion* (the process stops, exit code 70); the outside world gets a *coded error*.
 */

/** `ok` with a value, or a refusal that says why in data. */
export type Verdict<T, Refusal extends { code: string }> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: Refusal };

export function accept<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function refuse<R extends { code: string }>(refusal: R): { ok: false; refusal: R } {
  return { ok: false, refusal };
}

/** sysexits.h, and 71 for the watchdog, 75 for a lock held elsewhere, 78 for risks found. */
export const EXIT = {
  ok: 0,
  usage: 64,
  badData: 65,
  unavailable: 69,
  invariant: 70,
  watchdog: 71,
  cannotCreate: 73,
  io: 74,
  locked: 75,
  permission: 77,
  risks: 78,
} as const;

/** An error that a user can act on: printed without a stack, with its exit code. */
export class UserError extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'UserError';
    this.exitCode = exitCode;
  }
}

/** Our own bug, or damaged memory: stop rather than continue wrong. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvariantError';
  }
}

/** What is on disk is not what was written. The data directory has to be mended or synced anew. */
export class DamageError extends Error {
  readonly code = 'DATABASE_DAMAGED';
  constructor(what: string, options?: { cause?: unknown }) {
    super(what, options);
    this.name = 'DamageError';
  }
}

/** What was asked cannot be answered for a moment: whoever asks again will be served. */
export class MomentaryError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'MomentaryError';
    this.code = code;
  }
}

/** Of errors that say that what is on disk is not what was written, whoever found it out. */
export function isDamage(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return error instanceof Error && (code === 'DATABASE_DAMAGED' || code === 'STATE_DAMAGED');
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** For the arm of a switch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${String(value)}`);
}
