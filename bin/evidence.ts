import type { Metric } from '#consensus/core/types.ts';
import type { Chain } from '#src/chain/chain.ts';
import { bytesEqual, concatBytes } from '#src/lib/bytes.ts';
import type { Log } from '#src/lib/log.ts';
import type { Evidence } from '#src/rpc/backend.ts';
import {
  decodeRlp,
  encodeRlp,
  isRlpList,
  rlpBytes,
  rlpToSafeInteger,
  uintToRlp,
} from '#src/types/rlp.ts';
import { asEpoch } from '#src/types/units.ts';
import { encodeStatement, type Vote } from '#src/types/vote.ts';
import { AppendLog } from '#storage/appendLog.ts';
import type { Writes } from '#storage/room.ts';

/** One punishment a key and epoch: more of the same is not kept. */
const evidenceMax = 1_024;
const VOTE_BYTES = 169;

type Contradiction = Extract<Metric, { t: 'equivocation' }>;

/** Pairs of votes that contradict each other, kept for whoever hands them to the chain. */
export class EvidenceLog {
  readonly #log: AppendLog;
  readonly #found: Evidence[] = [];
  readonly #chain: Chain;
  readonly #say: Log;

  private constructor(log: AppendLog, chain: Chain, say: Log) {
    this.#log = log;
    this.#chain = chain;
    this.#say = say;
  }

  static open(dir: string, chain: Chain, say: Log, room?: Writes): EvidenceLog {
    const { log, records } = AppendLog.open(dir, room);
    const evidence = new EvidenceLog(log, chain, say);
    for (const { payload } of records) {
      const one = decode(payload);
      if (one !== null) evidence.#found.push(one);
    }
    return evidence;
  }

  get all(): readonly Evidence[] {
    return this.#found;
  }

  /** Listens to what agreement reports, and passes it on. */
  watch(next: (metric: Metric) => void): (metric: Metric) => void {
    return (metric) => {
      if (metric.t === 'equivocation') this.#add(metric);
      next(metric);
    };
  }

  #add({ first, second, signer, view }: Contradiction): void {
    const { epoch } = first.statement;
    const validator = this.#chain.electorates.of(epoch)?.set.validators[signer];
    if (validator === undefined) return;
    const { consensusKey, memberId } = validator;
    const known = this.#found.some(
      (one) => one.epoch === epoch && bytesEqual(one.consensusKey, consensusKey),
    );
    if (known || this.#found.length >= evidenceMax) return;
    const [firstVote, secondVote] = [this.#spell(first), this.#spell(second)];
    const evidence: Evidence = { epoch, consensusKey, firstVote, secondVote };
    this.#found.push(evidence);
    this.#log.append(encode(evidence));
    this.#log.sync().catch((error: unknown) => {
      this.#say.error('evidence not kept', { error: String(error) });
    });
    const remedy = 'mpbp validator evidence hands it to the chain, which slashes the validator';
    this.#say.error('a validator contradicted itself', { member: memberId, epoch, view, remedy });
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  /** As `ValidatorRegistry.submitEvidence` takes it: what was signed, and the signature. */
  #spell({ statement, signature }: Vote): Uint8Array {
    return concatBytes(
      encodeStatement(statement, this.#chain.params.electorate.networkId),
      signature,
    );
  }
}

function encode({ epoch, consensusKey, firstVote, secondVote }: Evidence): Uint8Array {
  return encodeRlp([uintToRlp(epoch), consensusKey, firstVote, secondVote]);
}

function decode(payload: Uint8Array): Evidence | null {
  const decoded = decodeRlp(payload, payload.length);
  if (!decoded.ok || !isRlpList(decoded.value)) return null;
  const [epochItem, key, first, second] = decoded.value;
  const epoch = rlpToSafeInteger(epochItem);
  const consensusKey = rlpBytes(key, 32);
  const firstVote = rlpBytes(first, VOTE_BYTES);
  const secondVote = rlpBytes(second, VOTE_BYTES);
  if (epoch === null || consensusKey === null || firstVote === null || secondVote === null) {
    return null;
  }
  return { epoch: asEpoch(epoch), consensusKey, firstVote, secondVote };
}
