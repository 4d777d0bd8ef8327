/**
 * Hears every vote that leaves a validator, as a follower of each, and reads what each wrote in its
 * journal. Two different statements that cannot both be signed honestly are kept as a conflict.
 */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Block, JournalRecord } from '#consensus/core/types.ts';
import { decodeMessage } from '#consensus/engine/codec.ts';
import { Journal } from '#consensus/engine/journal.ts';
import { DEFAULT_LIMITS, Network, peerIdFromSeed } from '#p2p/network.ts';
import { ed25519Verify } from '#src/crypto/ed25519.ts';
import { concatBytes, utf8 } from '#src/lib/bytes.ts';
import { accept } from '#src/lib/failure.ts';
import { silentLog } from '#src/lib/log.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Validator } from '#src/types/validatorSet.ts';
import { encodeStatement, statementKey, type Vote, VoteKind } from '#src/types/vote.ts';
import { AppendLog } from '#storage/appendLog.ts';
import type { Cluster } from './cluster.ts';

const seed = new Uint8Array(32).fill(0x0b);
export const observerId = peerIdFromSeed(seed);

/** Votes are looked at, blocks are not. */
const unread = {
  encode: () => new Uint8Array(0),
  decode: () => accept({} as Block),
};

export class Observer {
  readonly signatures: Signatures;
  readonly #onVote: (vote: Vote) => void;
  #network: Network | null = null;

  private constructor(cluster: Cluster, onVote: (vote: Vote) => void) {
    this.#onVote = onVote;
    this.signatures = new Signatures(cluster.set, cluster.networkId);
  }

  /** `onVote`: told of each vote that its signer sends. */
  static async open(cluster: Cluster, onVote: (vote: Vote) => void = () => {}): Promise<Observer> {
    const observer = new Observer(cluster, onVote);
    observer.#network = await Network.open({
      identitySeed: seed,
      listen: [],
      // Past the proxies: no fault shall hide a signature.
      peers: cluster.set.map(({ peerId }) => ({
        peerId,
        addresses: [`/ip4/127.0.0.1/tcp/${cluster.p2pPortOf(peerId)}`],
      })),
      allowed: () => new Set(cluster.set.map(({ peerId }) => peerId)),
      hello: concatBytes(utf8('mpbp/1'), cluster.networkId),
      limits: { ...DEFAULT_LIMITS, redialMaxMs: 300 },
      log: silentLog,
      onMessage: (channel, _from, message) => {
        if (channel === 'consensus') observer.#hear(message);
      },
      onRequest: async () => null,
      onPeer: () => {},
    });
    return observer;
  }

  get listening(): number {
    return this.#network?.peers().filter(({ connection }) => connection !== null).length ?? 0;
  }

  /** What a stopped validator has on disk; the files are left as they are. */
  async readJournal(dataDir: string): Promise<readonly JournalRecord[]> {
    const dir = join(dataDir, 'consensus');
    if (!existsSync(dir)) return [];
    const copy = mkdtempSync(join(tmpdir(), 'mpbp-journal-'));
    try {
      cpSync(dir, copy, { recursive: true });
      const { log, records } = AppendLog.open(copy);
      const decoded = new Journal(log, unread).read(records);
      for (const record of decoded) {
        if (record.t === 'vote') this.signatures.vote(record.vote);
        else this.signatures.certificate(record.certificate);
      }
      await log.close();
      return decoded;
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  }

  async close(): Promise<void> {
    await this.#network?.close();
  }

  #hear(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes, unread);
    if (!decoded.ok) return;
    const message = decoded.value;
    switch (message.t) {
      case 'proposal':
        this.signatures.vote(message.proposal.vote);
        this.#onVote(message.proposal.vote);
        for (const certificate of message.proposal.justify)
          this.signatures.certificate(certificate);
        break;
      case 'vote':
        this.signatures.vote(message.vote);
        this.#onVote(message.vote);
        break;
      case 'certificate':
        this.signatures.certificate(message.certificate);
        break;
      case 'certificates':
        for (const certificate of message.certificates) this.signatures.certificate(certificate);
        break;
      case 'recalled':
        for (const vote of message.votes) this.signatures.vote(vote);
        break;
      case 'status':
        if (message.certificate !== null) this.signatures.certificate(message.certificate);
        break;
      default:
    }
  }
}

/** Every signed statement that was ever seen, whoever showed it. */
export class Signatures {
  readonly conflicts: string[] = [];
  /** Distinct signed statements. */
  votes = 0;
  /** When the first vote for a block of each view was heard, on the monotonic clock. */
  readonly proposedAt: number[] = [];
  #newestView = 0;
  /** By signer, how many of them. */
  readonly votesOf = new Map<number, number>();
  forged = 0;
  readonly #set: readonly Validator[];
  readonly #networkId: Uint8Array;
  /** `signer.epoch.view.kind`, to the statement. */
  readonly #seen = new Map<string, string>();

  constructor(set: readonly Validator[], networkId: Uint8Array) {
    this.#set = set;
    this.#networkId = networkId;
  }

  certificate({ statement, signers, signatures }: Certificate): void {
    for (const [at, signer] of signers.entries()) {
      const signature = signatures[at];
      if (signature !== undefined) this.vote({ statement, signer, signature });
    }
  }

  vote({ statement, signer, signature }: Vote): void {
    const { kind, epoch, view } = statement;
    const slot = (of: number) => `${signer}.${epoch}.${view}.${of}`;
    const key = statementKey(statement);
    const known = this.#seen.get(slot(kind));
    if (known === key) return;
    const publicKey = this.#set[signer]?.consensusKey;
    const signed = encodeStatement(statement, this.#networkId);
    if (publicKey === undefined || !ed25519Verify(publicKey, signed, signature)) {
      this.forged++;
      return;
    }
    this.votes++;
    if (kind === VoteKind.Notarize && view > this.#newestView) {
      this.#newestView = view;
      this.proposedAt.push(performance.now());
    }
    this.votesOf.set(signer, (this.votesOf.get(signer) ?? 0) + 1);
    if (known !== undefined) this.conflicts.push(`signer ${signer}: ${known} and ${key}`);
    this.#seen.set(slot(kind), key);
    const rival = { [VoteKind.Nullify]: VoteKind.Finalize, [VoteKind.Finalize]: VoteKind.Nullify };
    const other = kind === VoteKind.Notarize ? undefined : this.#seen.get(slot(rival[kind]));
    if (other !== undefined) this.conflicts.push(`signer ${signer}: ${other} and ${key}`);
  }
}
