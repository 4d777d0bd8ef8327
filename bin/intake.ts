import type { Engine } from '#consensus/engine/engine.ts';
import type { Chain, FinalEvent } from '#src/chain/chain.ts';
import { accept, refuse } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import type { Pool } from '#src/pool/pool.ts';
import { describePoolRefusal, type PoolRefusal } from '#src/pool/refusal.ts';
import { decodeRelay, type Relay, type RelayedPayment } from '#src/pool/relay.ts';
import type { Senders } from '#src/pool/senders.ts';
import type { Submissions } from '#src/pool/submissions.ts';
import { Turns } from '#src/pool/turns.ts';
import type { Backend } from '#src/rpc/backend.ts';
import {
  decodeEnvelope,
  decodeTransaction,
  describeRefusal,
  type TransactionRefusal,
} from '#src/types/decodeTransaction.ts';
import { keccakHash } from '#src/types/hash.ts';
import type { Envelope, SignedTransaction } from '#src/types/transaction.ts';
import type { Room } from '#storage/room.ts';
import { diskFullRefusal } from './room.ts';

export type IntakeParts = {
  readonly chain: Chain;
  readonly pool: Pool;
  readonly relay: Relay;
  readonly submissions: Submissions;
  readonly senders: Senders;
  readonly engine: Engine;
  readonly pending: Set<(transaction: SignedTransaction) => void>;
  readonly room: Room;
  readonly log: Log;
  /** The disk failed while a promise to a client was written. */
  onFatal(error: Error): void;
};

type Penalize = (penalty: 'drop' | 'ban', reason: string) => void;

const UNRECOVERABLE = { code: 'INVALID_SIGNATURE', reason: 'recovery' } as const;

/** Of clients, and as many of peers: about 3 ms each, after which agreement has its turn. */
const paymentsPerTurnMax = 32;
/** Of clients, and as many of peers, that wait for their turn: about a second. */
const paymentsWaitingMax = 8_192;

/** Blocks between two looks for payments that waited too long. */
const expireEveryBlocks = 64n;

/** Where payments come in, from clients, from peers and from the disk, and where they leave. */
export class Intake {
  readonly #parts: IntakeParts;
  readonly #clients = new Turns(paymentsPerTurnMax, paymentsWaitingMax);
  readonly #peers = new Turns(paymentsPerTurnMax, 1);
  #relayedWaiting = 0;
  #newestSeq = 0;
  #relayed: Promise<void> = Promise.resolve();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** What this node promised before it was stopped. */
  resume(records: readonly { seq: number; payload: Uint8Array }[], newestSeq: number): void {
    const { chain, pool, relay, submissions, log } = this.#parts;
    const { chainId } = chain.params;
    let waiting = 0;
    for (const { seq, payload } of records) {
      const hash = keccakHash(payload);
      // The log is cut by whole segments: most of what it has is final.
      if (chain.locate(hash) !== null) continue;
      const decoded = decodeTransaction(payload, { chainId, hash });
      if (!decoded.ok || !pool.add(decoded.value, true).ok) continue;
      submissions.resume(decoded.value.hash, seq);
      relay.resume(decoded.value.hash);
      waiting++;
    }
    this.#newestSeq = newestSeq;
    if (waiting > 0) log.info('submissions resumed', { waiting });
  }

  /** A client's payment. Accepted, it is kept on disk and known to the peers. */
  async submit(raw: Uint8Array): ReturnType<Backend['submit']> {
    const { chain, pool, senders, room } = this.#parts;
    if (senders.isBusy || this.#clients.isBusy) {
      const message = 'too many payments at once: send it again in a moment';
      return refuse({ code: 'NODE_BUSY', message });
    }
    const later = this.#clients.take();
    if (later !== null) await later;
    if (room.look() !== null) return refuse(diskFullRefusal);
    const decoded = decodeEnvelope(raw, { chainId: chain.params.chainId });
    if (!decoded.ok) return refuse(described(decoded.refusal));
    const early = pool.judge(decoded.value);
    if (early !== null) return refuse(refused(early));
    const sender = await senders.of(decoded.value);
    if (sender === null) return refuse(described(UNRECOVERABLE));
    const transaction = Object.assign(decoded.value, { sender });
    const admitted = pool.add(transaction, true);
    if (!admitted.ok) return refuse(refused(admitted.refusal));
    const isKept = await this.#keep(transaction);
    return isKept ? accept(transaction.hash) : refuse(diskFullRefusal);
  }

  /**
   * A peer's batch: what is new and valid goes into the pool, what cannot be right costs standing.
   * Batches are admitted in the order in which they came, a few payments at a time; what finds no
   * room still waits where it came from, and is sent again.
   */
  relayed(message: Uint8Array, penalize: Penalize): void {
    const batch = decodeRelay(message);
    if (!batch.ok) return penalize('ban', batch.refusal.code);
    // What is lost here still waits where it came from, and is sent again.
    if (this.#parts.senders.isBusy || this.#relayedWaiting >= paymentsWaitingMax) return;
    this.#relayedWaiting += batch.value.length;
    this.#relayed = this.#relayed.then(async () => {
      await this.#admit(batch.value, penalize);
      this.#relayedWaiting -= batch.value.length;
    });
  }

  async #admit(batch: readonly RelayedPayment[], penalize: Penalize): Promise<void> {
    const { chain, pool, room } = this.#parts;
    let few: RelayedPayment[] = [];
    for (const payment of batch) {
      if (pool.isFull || room.isFull) break;
      if (pool.get(payment.hash) !== null || chain.locate(payment.hash) !== null) continue;
      const later = this.#peers.take();
      if (later === null) {
        few.push(payment);
        continue;
      }
      if (!(await this.#admitFew(few, penalize))) return;
      few = [payment];
      await later;
    }
    await this.#admitFew(few, penalize);
  }

  /** False where a peer sent what no honest one would. */
  async #admitFew(few: readonly RelayedPayment[], penalize: Penalize): Promise<boolean> {
    const { chain, pool, relay, senders, engine, pending, room } = this.#parts;
    const { chainId } = chain.params;
    // Without room the database may be opened anew at any moment.
    if (room.isFull) return true;
    const envelopes: Envelope[] = [];
    let isHonest = true;
    for (const { hash, raw } of few) {
      const decoded = decodeEnvelope(raw, { chainId, hash });
      // An honest node decoded it before it passed it on.
      if (!decoded.ok) {
        penalize('ban', decoded.refusal.code);
        return false;
      }
      if (pool.judge(decoded.value) === null) envelopes.push(decoded.value);
    }
    const found = await Promise.all(envelopes.map((envelope) => senders.of(envelope)));
    if (room.isFull) return false;
    let added = 0;
    for (const [index, envelope] of envelopes.entries()) {
      const sender = found[index] ?? null;
      if (sender === null) {
        penalize('ban', UNRECOVERABLE.code);
        isHonest = false;
        break;
      }
      const transaction = Object.assign(envelope, { sender });
      if (!pool.add(transaction, false).ok) continue;
      relay.heard(transaction.hash);
      added++;
      for (const listener of pending) listener(transaction);
    }
    if (added > 0) engine.poolChanged();
    return isHonest;
  }

  /** To the peers, the proposer and the disk; false where that is found full. */
  async #keep(transaction: SignedTransaction): Promise<boolean> {
    const { relay, engine, submissions, pending, room, onFatal } = this.#parts;
    try {
      const kept = submissions.keep(transaction);
      relay.announce(transaction);
      engine.poolChanged();
      for (const listener of pending) listener(transaction);
      return await room.isDoneBeforeFull(kept);
    } catch (error) {
      onFatal(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  settle({ block, accounts }: FinalEvent): void {
    const { pool, relay, submissions } = this.#parts;
    // Of an account that lends itself to code (EIP-7702) others may spend coin and nonce.
    const gone = pool.settle(accounts);
    if (block.header.height % expireEveryBlocks === 0n) gone.push(...pool.expire());
    for (const { transaction } of gone) {
      relay.forget(transaction.hash);
      submissions.settle(transaction.hash);
    }
    for (const { hash } of block.transactions) submissions.settle(hash);
    submissions.prune(this.#newestSeq);
  }
}

function described(refusal: TransactionRefusal): { code: string; message: string } {
  return { code: refusal.code, message: describeRefusal(refusal) };
}

function refused(refusal: PoolRefusal): { code: string; message: string } {
  return { code: refusal.code, message: describePoolRefusal(refusal) };
}
