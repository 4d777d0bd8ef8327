/** One real engine with real keys, among peers that the test plays. */

import { makeSchedule, type Schedule } from '#consensus/core/schedule.ts';
import type { Block, BuildOutcome, Message, Timing } from '#consensus/core/types.ts';
import { encodeMessage } from '#consensus/engine/codec.ts';
import { Engine } from '#consensus/engine/engine.ts';
import { journalBegin } from '#consensus/engine/journal.ts';
import type { Ledger, Net, PrepareRequest } from '#consensus/engine/ports.ts';
import { ed25519PublicKey, ed25519Sign } from '#src/crypto/ed25519.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { bytesEqual, toHex, utf8 } from '#src/lib/bytes.ts';
import { accept, refuse } from '#src/lib/failure.ts';
import { silentLog } from '#src/lib/log.ts';
import type { Soon } from '#src/lib/steps.ts';
import type { Address } from '#src/types/address.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, Height, Stake, View } from '#src/types/units.ts';
import { makeValidatorSet, type ValidatorSet } from '#src/types/validatorSet.ts';
import { encodeStatement, type Statement, type Vote, VoteKind } from '#src/types/vote.ts';

export const networkId = sha256(utf8('test network'));

const timing: Timing = {
  leaderMs: 250,
  advanceMs: 500,
  retryMs: 250,
  capMs: 10_000,
  heartbeatMs: 5_000,
  minEmptyIntervalMs: 200,
  maxFutureMs: 500,
  maxPastMs: 2_000,
  fetchRetryMs: 100,
  fetchRetryMaxMs: 2_000,
};

const genesisHash = toHex(sha256(utf8('genesis'))) as Hash;

/** A block of nothing but what agreement looks at, as JSON. */
export function makeBlock(fields: Partial<Block> & { view: View; proposer: number }): Block {
  const block = {
    parentHash: genesisHash,
    height: 1n as Height,
    epoch: 0 as Epoch,
    parentView: 0 as View,
    timestampMs: 1_000_000,
    transactions: 1,
    epochEnd: false,
    content: 'a payment',
    ...fields,
  };
  return { ...block, hash: toHex(sha256(encodeBlock(block))) as Hash };
}

function encodeBlock(block: Omit<Block, 'hash'>): Uint8Array {
  const { hash: _hash, ...rest } = block as Block;
  return utf8(
    JSON.stringify(rest, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)),
  );
}

export class Rig {
  readonly set: ValidatorSet;
  readonly schedule: Schedule;
  readonly me: number;
  readonly engine: Engine;
  now = 0;
  wall = 1_000_000;
  readonly sent: { to: string; bytes: Uint8Array }[] = [];
  readonly penalties: { peer: string; penalty: string; reason: string }[] = [];
  readonly executed: Hash[] = [];
  readonly committed: Block[] = [];
  readonly prepared: PrepareRequest[] = [];
  readonly fatal: Error[] = [];
  /** What peers answer to requests for ranges. */
  answer: (peer: string) => Uint8Array | null = () => null;
  invalid = new Set<Hash>();
  /** What the pool says, and how often it was asked for a block in vain. */
  pending = false;
  stalled = false;
  /** How often it was asked whether anything waits. */
  looks = 0;
  /** What a build gives; nothing where none is set. */
  built: BuildOutcome | null = null;
  /** Whether contracts have to run: then the ledger answers when `answer` is called, in order. */
  hasContracts = false;
  readonly unanswered: { give(): void; fail(error: Error): void }[] = [];
  builds = 0;
  readonly #seeds: Uint8Array[];
  #floorView = 0 as View;
  #certificate: Certificate | null = null;

  /** `me` is the position of the engine; `leads` picks it to be, or not to be, the first leader. */
  constructor(options: { leadsFirst: boolean }) {
    const seeds = Array.from({ length: 4 }, (_, at) => sha256(utf8(`seed ${at}`)));
    this.set = makeValidatorSet(
      seeds.map((seed, at) => ({
        consensusKey: ed25519PublicKey(seed),
        peerId: `peer-${at}`,
        stake: 1n as Stake,
        memberId: `member-${at}`,
        operator: `0x${'0'.repeat(39)}${at}` as Address,
        feeRecipient: `0x${'0'.repeat(39)}${at}` as Address,
      })),
    );
    this.#seeds = this.set.validators.map(({ consensusKey }) => {
      const seed = seeds.find((one) => bytesEqual(ed25519PublicKey(one), consensusKey));
      return seed ?? new Uint8Array(32);
    });
    this.schedule = makeSchedule(this.set, 0 as Epoch, networkId);
    const first = this.schedule.leaderOf(1 as View);
    this.me = options.leadsFirst ? first : (first + 1) % 4;
    const seed = this.#seeds[this.me] ?? new Uint8Array(32);
    let seq = 1;
    this.engine = new Engine({
      networkId,
      timing,
      unfinalizedMax: 4,
      signers: [
        {
          publicKey: ed25519PublicKey(seed),
          sign: async (message) => ed25519Sign(seed, message),
        },
      ],
      ledger: this.ledger,
      net: this.net,
      clock: { now: () => this.now, wall: () => this.wall },
      log: silentLog,
      journal: {
        log: {
          get lastSeq() {
            return seq;
          },
          get syncedSeq() {
            return seq;
          },
          append: () => ++seq,
          sync: async () => {},
          prune: () => {},
          restartAt: (from) => {
            seq = from;
          },
          close: async () => {},
        },
        records: [{ seq: 1, payload: journalBegin }],
        isAccepted: false,
        seqMin: 0,
      },
      isStalled: () => this.stalled,
      onMetric: () => {},
      onFatal: (error) => this.fatal.push(error),
    });
  }

  /** Replaced by tests that count. */
  decode: Ledger['decode'] = (bytes) => {
    try {
      const fields = JSON.parse(new TextDecoder().decode(bytes)) as Block & { height: string };
      const height = BigInt(`${fields.height}`.replace('n', '')) as Height;
      return accept(makeBlock({ ...fields, height }));
    } catch {
      return refuse({ code: 'BLOCK_LAYOUT' });
    }
  };

  get ledger(): Ledger {
    const rig = this;
    return {
      get floor() {
        const last = rig.committed.at(-1);
        const { hash, height, timestampMs } = last ?? {
          hash: genesisHash,
          height: 0n as Height,
          timestampMs: 0,
        };
        return { view: rig.#floorView, hash, height, timestampMs };
      },
      get floorCertificate() {
        return rig.#certificate;
      },
      electorate: { epoch: 0 as Epoch, set: rig.set },
      transition: () => null,
      encode: encodeBlock,
      decode: (bytes) => rig.decode(bytes),
      build: () => {
        rig.builds++;
        return rig.#answer(() => rig.built ?? { t: 'nothing' });
      },
      decodeSoon: async () => undefined,
      prepare: (request) => void rig.prepared.push(request),
      execute: (block) => {
        rig.executed.push(block.hash);
        return rig.#answer(() => (rig.invalid.has(block.hash) ? 'BLOCK_HEADER stateRoot' : null));
      },
      commit: async (blocks, certificate) => {
        rig.committed.push(...blocks);
        rig.#certificate = certificate;
        rig.#floorView = certificate.statement.view;
      },
      waiting: () => {
        rig.looks++;
        return { has: rig.pending, boundary: false };
      },
      headerOf: (bytes) => {
        const decoded = rig.ledger.decode(bytes);
        return decoded.ok ? decoded.value : null;
      },
      finalBlock: () => null,
      finalRange: () => null,
    };
  }

  #answer<T>(make: () => T): Soon<T> {
    if (!this.hasContracts) return make();
    return new Promise<T>((resolve, reject) => {
      this.unanswered.push({ give: () => resolve(make()), fail: reject });
    });
  }

  get net(): Net {
    return {
      send: (to, bytes) => void this.sent.push({ to, bytes }),
      broadcast: (bytes) => void this.sent.push({ to: 'all', bytes }),
      request: async (peer) => this.answer(peer),
      penalize: (peer, penalty, reason) => void this.penalties.push({ peer, penalty, reason }),
      connected: () => this.peers,
      pushPending: () => {},
    };
  }

  get peers(): string[] {
    return this.set.validators.map(({ peerId }) => peerId).filter((_, at) => at !== this.me);
  }

  sign(index: number, statement: Statement, network = networkId): Vote {
    const seed = this.#seeds[index] ?? new Uint8Array(32);
    const signature = ed25519Sign(seed, encodeStatement(statement, network));
    return { statement, signer: index, signature };
  }

  certificate(statement: Statement, signers: readonly number[], network = networkId): Certificate {
    const votes = signers.map((index) => this.sign(index, statement, network));
    return { statement, setSize: 4, signers, signatures: votes.map(({ signature }) => signature) };
  }

  proposalOf(block: Block, by = block.proposer): Message {
    const vote = this.sign(by, statementOf(VoteKind.Notarize, block));
    const { view, parentView } = block;
    return { t: 'proposal', proposal: { view, parentView, block, vote, justify: [] } };
  }

  /** Peers hold no vote of this node. */
  start(): void {
    this.engine.start();
    const recalled: Message = { t: 'recalled', epoch: 0 as Epoch, votes: [] };
    for (const peer of this.peers) this.receive(recalled, peer);
  }

  receive(message: Message, from = this.peers[0] ?? ''): void {
    this.engine.receive(from, encodeMessage(message, this.ledger));
  }

  /** Everything that was promised so far has happened. */
  async settle(): Promise<void> {
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}

export function statementOf(kind: VoteKind, block: Block): Statement {
  const { view, parentView, hash: blockHash } = block;
  return { kind, epoch: 0 as Epoch, view, parentView, blockHash };
}
