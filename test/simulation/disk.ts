import type { Block, Floor, JournalRecord } from '#consensus/core/types.ts';
import type { SeededRandom } from '#src/lib/random.ts';
import type { Certificate } from '#src/types/certificate.ts';
import { type Statement, statementKey } from '#src/types/vote.ts';
import { applyPayments, contentOf, genesis, type Payment, type SimState } from './ledger.ts';

export type ChainEntry = { readonly block: Block; readonly certificate: Certificate | null };

/** What survives a crash: everything that was synced, and a part of what was not. */
export class SimDisk {
  journal: JournalRecord[] = [];
  #synced = 0;
  signed = new Set<string>();
  chain: readonly ChainEntry[] = [];
  /** Payments that this node told a client it accepted. */
  accepted = new Set<Payment>();
  /** As the journal of the real engine has it: nothing is signed through this epoch. */
  abstention: number | 'until recalled' | null = null;

  /** Without haste: it is durable with the next vote. */
  append(record: JournalRecord): void {
    this.journal.push(record);
  }

  appendSynced(record: JournalRecord): void {
    this.journal.push(record);
    this.#synced = this.journal.length;
    if (record.t === 'vote') this.signed.add(statementKey(record.vote.statement));
  }

  holds(statement: Statement): boolean {
    return this.signed.has(statementKey(statement));
  }

  crash(random: SeededRandom): void {
    const kept = this.#synced + random.below(this.journal.length - this.#synced + 1);
    this.journal.length = kept;
    this.#synced = kept;
  }

  /** The journal is cut only below what the chain on disk makes unnecessary. */
  prune(floor: Floor, epoch: number): void {
    if (this.journal.length < 64) return;
    const isKept = (record: JournalRecord) => {
      const at = record.t === 'vote' ? record.vote.statement : record.certificate.statement;
      return at.epoch === epoch ? at.view > floor.view : at.epoch > epoch;
    };
    const synced = this.journal.slice(0, this.#synced).filter(isKept);
    const unsynced = this.journal.slice(this.#synced).filter(isKept);
    this.journal = [...synced, ...unsynced];
    this.#synced = synced.length;
  }

  copy(): SimDisk {
    const copy = new SimDisk();
    copy.journal = [...this.journal];
    copy.#synced = copy.journal.length;
    copy.signed = new Set(this.signed);
    copy.chain = [...this.chain];
    copy.accepted = new Set(this.accepted);
    copy.abstention = this.abstention;
    return copy;
  }
}

/** The newest proven block of a chain, as agreement begins on it. */
export function floorOf(chain: readonly ChainEntry[]): {
  floor: Floor;
  certificate: Certificate | null;
} {
  const { block, certificate } = chain.findLast((entry) => entry.certificate !== null) ?? {};
  if (block === undefined || certificate == null) return { floor: genesis, certificate: null };
  const { hash, height, timestampMs, epochEnd } = block;
  const view = epochEnd ? genesis.view : certificate.statement.view;
  return { floor: { view, hash, height, timestampMs }, certificate };
}

export function statesOf(chain: readonly ChainEntry[], first: SimState): Map<string, SimState> {
  const states = new Map<string, SimState>([[genesis.hash, first]]);
  let state = first;
  for (const { block } of chain) {
    state = applyPayments(state, block.height, contentOf(block).payments).state;
    states.set(block.hash, state);
  }
  return states;
}
