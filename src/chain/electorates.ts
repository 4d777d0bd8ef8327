import { assert } from '#src/lib/failure.ts';
import type { Block } from '#src/types/block.ts';
import { decodeValidators, type Electorate } from '#src/types/electorate.ts';
import { asEpoch, type Epoch, type Height } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import type { ChainStore } from './store.ts';

/** Who decides when: always looked up by epoch, never "the current set" (consensus 2.14). */
export class Electorates {
  readonly #first: Electorate;
  readonly #store: ChainStore;
  readonly #known = new Map<Epoch, Electorate>();

  constructor(first: Electorate, store: ChainStore) {
    this.#first = first;
    this.#store = store;
  }

  /** Null for an epoch that has not begun. */
  of(epoch: Epoch): Electorate | null {
    if (epoch === this.#first.epoch) return this.#first;
    const known = this.#known.get(epoch);
    if (known !== undefined) return known;
    const stored = this.#store.epoch(epoch);
    if (stored === null) return null;
    const set = decodeValidators(stored.validators);
    assert(set.ok, 'a stored validator set decodes');
    const found = { ...this.#first, epoch, set: set.value };
    this.#known.set(epoch, found);
    return found;
  }

  /** For the child of a block; `nextSet` is what its execution gave, where it is not stored yet. */
  after({ header }: Block, nextSet: ValidatorSet | null): Electorate {
    const { epoch, epochEnd } = header.consensus;
    const next = asEpoch(epochEnd ? epoch + 1 : epoch);
    if (nextSet !== null) return { ...this.#first, epoch: next, set: nextSet };
    const found = this.of(next);
    assert(found !== null, 'the set of an epoch is stored with the block that ends the one before');
    return found;
  }

  /** The last block of an epoch; null where that epoch has not ended. */
  boundaryOf(epoch: Epoch): Height | null {
    return this.#store.epoch(asEpoch(epoch + 1))?.boundary ?? null;
  }
}
