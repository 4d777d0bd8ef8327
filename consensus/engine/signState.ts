import { bytesEqual, concatBytes, type Hex, toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { decodeStatement, type Statement, statementKey, VoteKind } from '#src/types/vote.ts';
import type { RecordLog } from './journal.ts';

/** Why a signer does not sign. Its own memory decides, whatever the node that asks believes. */
export type SignRefusal =
  | { code: 'SIGN_MALFORMED' }
  | { code: 'SIGN_NETWORK' }
  | { code: 'SIGN_EPOCH_OVER'; epoch: number; newest: number }
  | { code: 'SIGN_VIEW_FORGOTTEN'; view: number; newest: number }
  | { code: 'SIGN_CONFLICT'; signed: string; asked: string };

/** Views below the newest in which a signature may still be asked for; older ones are forgotten. */
const viewsKept = 4_096;
const pruneEvery = 10_000;

type Signed = { readonly seq: number; readonly votes: Map<VoteKind, string> };
type KeyState = { epoch: number; newest: number; views: Map<number, Signed> };

/**
 * What one signer has signed with each key, on disk before the signature leaves: the same gates as
 * agreement's own (R4b, R5, R6), so that a node with a lost or old journal cannot make it sign what
 * contradicts an earlier signature. A record is `32 key, 105 statement`.
 */
export class SignState {
  readonly #log: RecordLog;
  readonly #networkId: Uint8Array;
  readonly #keys = new Map<Hex, KeyState>();
  #sincePruned = 0;

  constructor(
    log: RecordLog,
    records: readonly { seq: number; payload: Uint8Array }[],
    networkId: Uint8Array,
  ) {
    this.#log = log;
    this.#networkId = networkId;
    for (const { seq, payload } of records) {
      const decoded = decodeStatement(payload.slice(32));
      assert(decoded !== null, 'a record of a signature is well formed');
      this.#remember(toHex(payload.subarray(0, 32)), decoded.statement, seq);
    }
  }

  /** Null when this may be signed: it is then on disk. */
  async admit(key: Uint8Array, bytes: Uint8Array): Promise<SignRefusal | null> {
    const decoded = decodeStatement(bytes);
    if (decoded === null) return { code: 'SIGN_MALFORMED' };
    if (!bytesEqual(decoded.networkId, this.#networkId)) return { code: 'SIGN_NETWORK' };
    const { statement } = decoded;
    const name = toHex(key);
    const state = this.#keys.get(name);
    const refusal = state === undefined ? null : judge(state, statement);
    if (refusal !== null) return refusal;
    const known = state?.epoch === statement.epoch ? state.views.get(statement.view) : undefined;
    // The same bytes again: they are on disk, or on their way there.
    if (known?.votes.has(statement.kind) !== true) {
      this.#remember(name, statement, this.#log.append(concatBytes(key, bytes)));
    }
    await this.#log.sync();
    return null;
  }

  #remember(name: Hex, statement: Statement, seq: number): void {
    const { epoch, view, kind } = statement;
    let state = this.#keys.get(name);
    if (state === undefined || state.epoch < epoch) {
      state = { epoch, newest: 0, views: new Map() };
      this.#keys.set(name, state);
    }
    const signed = state.views.get(view) ?? { seq, votes: new Map() };
    signed.votes.set(kind, statementKey(statement));
    state.views.set(view, signed);
    state.newest = Math.max(state.newest, view);
    if (++this.#sincePruned >= pruneEvery) this.#prune();
  }

  #prune(): void {
    this.#sincePruned = 0;
    let keepFrom = this.#log.lastSeq + 1;
    for (const { views, newest } of this.#keys.values()) {
      for (const [view, { seq }] of views) {
        if (view + viewsKept <= newest) views.delete(view);
        else keepFrom = Math.min(keepFrom, seq);
      }
    }
    this.#log.prune(keepFrom);
  }
}

function judge({ epoch, newest, views }: KeyState, statement: Statement): SignRefusal | null {
  const { kind, view } = statement;
  if (statement.epoch < epoch) {
    return { code: 'SIGN_EPOCH_OVER', epoch: statement.epoch, newest: epoch };
  }
  if (statement.epoch > epoch) return null;
  if (view + viewsKept <= newest) return { code: 'SIGN_VIEW_FORGOTTEN', view, newest };
  const votes = views.get(view)?.votes;
  const asked = statementKey(statement);
  const same = votes?.get(kind);
  if (same !== undefined && same !== asked) return { code: 'SIGN_CONFLICT', signed: same, asked };
  const opposite =
    kind === VoteKind.Finalize
      ? votes?.get(VoteKind.Nullify)
      : kind === VoteKind.Nullify
        ? votes?.get(VoteKind.Finalize)
        : undefined;
  return opposite === undefined ? null : { code: 'SIGN_CONFLICT', signed: opposite, asked };
}
