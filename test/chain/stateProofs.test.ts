import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createMPT, verifyMPTWithMerkleProof } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import fc from 'fast-check';
import { stateAfter } from '#src/chain/pastState.ts';
import { proofLimits } from '#src/chain/pastTries.ts';
import { type AccountProof, StateProofs } from '#src/chain/stateProofs.ts';
import type { BlockRecord } from '#src/chain/store.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { bytesToUint, toHex } from '#src/lib/bytes.ts';
import { MomentaryError } from '#src/lib/failure.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashToBytes } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import { ShelfChainStore, undoBlocksMax } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import type { Shelf } from '#storage/shelf.ts';
import { addresses, apply, keys, recordOf, type Step, step, Twin } from './stateWorld.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-proofs-'));
let count = 0;
after(() => rmSync(root, { recursive: true, force: true }));

/** A chain's store with the twin of every block of it. */
class Story {
  store: ShelfChainStore;
  readonly twins: Twin[] = [];
  readonly roots: Hash[] = [];

  constructor(store: ShelfChainStore) {
    this.store = store;
  }

  static async on(shelf: Shelf, archive = false): Promise<Story> {
    return new Story(await ShelfChainStore.open(shelf, archive));
  }

  get height(): Height {
    return asHeight(BigInt(this.twins.length - 1));
  }

  rootOf = (height: Height): Hash | null => this.roots[Number(height)] ?? null;

  block(steps: readonly Step[]): Promise<void> {
    return this.commit([steps]);
  }

  /** Blocks on each other, in one batch. */
  async commit(blocksOfSteps: readonly (readonly Step[])[]): Promise<void> {
    const records: BlockRecord[] = [];
    let parent: StateReader = this.store;
    for (const steps of blocksOfSteps) {
      const twin = this.twins.at(-1)?.copy() ?? new Twin();
      const state = new Overlay(parent);
      for (const one of steps) {
        apply(state, one);
        twin.apply(one);
      }
      const sealed = state.seal(this.roots.at(-1) ?? EMPTY_TRIE_ROOT);
      this.twins.push(twin);
      this.roots.push(sealed.root);
      records.push(recordOf(this.height, sealed.changes));
      parent = state;
    }
    await this.store.commit(records, null, 0);
  }

  /** As another implementation reads the proof, knowing only the root. */
  async check(height: Height, address: string, proof: AccountProof): Promise<void> {
    const twin = this.twins[Number(height)] ?? assert.fail('no such block');
    const known = twin.accounts.get(address) ?? { nonce: 0n, balance: 0n };
    const stateRoot = this.rootOf(height) ?? assert.fail('no such root');
    const key = addressToBytes(address as Address);
    const value = await verified(stateRoot, key, proof.nodes);
    const { account } = proof;
    assert.deepEqual([account.nonce, account.balance], [known.nonce, known.balance]);
    if (known.nonce === 0n && known.balance === 0n) {
      assert.equal(value, null, 'proven to be absent');
      assert.deepEqual(account, EMPTY_ACCOUNT);
    } else {
      const fields = [known.nonce, known.balance, ...[account.storageRoot, account.codeHash]];
      assert.equal(toHex(value ?? assert.fail('present')), toHex(RLP.encode(fields)));
    }
    for (const [index, { value: shown, nodes }] of proof.slots.entries()) {
      const slot = keys[index] ?? '';
      const want = twin.slots.get(`${address}/${slot}`) ?? 0n;
      assert.equal(bytesToUint(shown), want, `slot ${slot}`);
      const proven = await verified(account.storageRoot, Buffer.from(slot, 'hex'), nodes);
      assert.equal(proven === null ? 0n : bytesToUint(RLP.decode(proven) as Uint8Array), want);
    }
  }
}

async function verified(
  trieRoot: Hash,
  key: Uint8Array,
  nodes: readonly Uint8Array[],
): Promise<Uint8Array | null> {
  if (trieRoot === EMPTY_TRIE_ROOT) {
    assert.equal(nodes.length, 0, 'an empty trie needs no nodes');
    return null;
  }
  const trie = await createMPT({ useKeyHashing: true });
  return verifyMPTWithMerkleProof(trie, hashToBytes(trieRoot), key, [...nodes]);
}

const blocks = fc.array(fc.array(step, { maxLength: 20 }), { minLength: 1, maxLength: 10 });
const account = (at: number, wei: bigint): Step => ({ what: 'account', at, nonce: 1, wei });

describe('proofs of the state', () => {
  for (const archive of [false, true]) {
    it(`at every block, ${archive ? 'from an archive' : 'within the window'}`, async () => {
      await fc.assert(
        fc.asyncProperty(blocks, async (history) => {
          const path = join(root, `db${count++}`);
          const shelf = await LevelShelf.create(path);
          try {
            const story = await Story.on(shelf, archive);
            for (let at = 0; at < history.length; at += 3) {
              await story.commit(history.slice(at, at + 3));
            }
            const proofs = new StateProofs(story.store, story.rootOf);
            for (let height = 0n; height <= story.height; height++) {
              for (const address of addresses.slice(0, 8)) {
                const at = asHeight(height);
                const proof = await proofs.prove(at, address as Address, keys);
                assert.ok(proof.ok, proof.ok ? '' : proof.refusal.code);
                await story.check(at, address, proof.value);
              }
            }
          } finally {
            await shelf.close();
            rmSync(path, { recursive: true, force: true });
          }
        }),
        { numRuns: 12 },
      );
    });
  }

  it('go on being right while blocks are committed', async () => {
    const shelf = await LevelShelf.create(join(root, `db${count++}`));
    const story = await Story.on(shelf);
    for (let at = 0; at < 8; at++) await story.block([account(at, 5n), account(9, BigInt(at))]);
    const proofs = new StateProofs(story.store, story.rootOf, { ...proofLimits, pieceMax: 1 });
    const height = asHeight(3n);
    const asked = addresses.slice(0, 10).map(async (address) => {
      const proof = await proofs.prove(height, address as Address, keys);
      // Two past tries are made at once at most: the others have to ask again.
      if (proof.ok) await story.check(height, address, proof.value);
      return proof.ok;
    });
    for (let at = 0; at < 8; at++) await story.block([account(at, 9n), account(9, 1_000n)]);
    const answers = await Promise.all(asked);
    assert.equal(answers.filter((isProven) => isProven).length, proofLimits.makingMax);
    await shelf.close();
  });

  it('are refused beyond the window, and beyond what may be taken back', async () => {
    const story = await Story.on(new MemoryShelf());
    for (let at = 0; at < undoBlocksMax + 3; at++)
      await story.block([account(at % 20, BigInt(at))]);
    const [address] = addresses as [Address];
    const prove = (height: bigint, limits = proofLimits) =>
      new StateProofs(story.store, story.rootOf, limits).prove(asHeight(height), address, []);
    const old = await prove(1n);
    assert.ok(!old.ok && old.refusal.code === 'STATE_PRUNED');
    assert.ok((await prove(2n)).ok, 'the oldest of the window');
    const few = await prove(2n, { ...proofLimits, changesMax: 19 });
    assert.deepEqual(few, { ok: false, refusal: { code: 'PROOF_TOO_FAR', changesMax: 19 } });
    const none = await prove(2n, { ...proofLimits, makingMax: 0 });
    assert.ok(!none.ok && none.refusal.code === 'PROOFS_BUSY');
    const beyond = await prove(story.height + 1n);
    assert.ok(!beyond.ok && beyond.refusal.code === 'STATE_PRUNED');
  });

  it('let go of the stores that they held', async () => {
    const shelf = new MemoryShelf();
    let open = 0;
    const counting: Shelf = {
      get: (...of) => shelf.get(...of),
      range: (...of) => shelf.range(...of),
      write: (...of) => shelf.write(...of),
      close: () => shelf.close(),
      view: () => {
        const view = shelf.view();
        let isOpen = true;
        open++;
        return {
          get: (...of) => view.get(...of),
          close: () => {
            assert.ok(isOpen, 'closed once');
            isOpen = false;
            open--;
            view.close();
          },
        };
      },
    };
    const story = await Story.on(counting);
    for (let at = 0; at < 12; at++) await story.block([account(at, 5n)]);
    const proofs = new StateProofs(story.store, story.rootOf);
    for (const height of [1n, 2n, 3n, 4n, 5n, 6n, 1n, 11n, 6n]) {
      await proofs.prove(asHeight(height), addresses[0] as Address, keys);
    }
    await proofs.prove(asHeight(99n), addresses[0] as Address, keys);
    assert.equal(open, proofLimits.pastBlocksMax);

    const limits = { ...proofLimits, pastBlocksMax: 1, makingMax: 9, pieceMax: 1 };
    const crowded = new StateProofs(story.store, story.rootOf, limits);
    const heights = [1n, 2n, 3n, 1n, 4n, 2n];
    const address = addresses[0] as Address;
    const asked = heights.map((height) => crowded.prove(asHeight(height), address, keys));
    for (const answer of await Promise.all(asked)) assert.ok(answer.ok);
    assert.equal(open, proofLimits.pastBlocksMax + 1);
  });
});

describe('a proof whose held store is gone', () => {
  it('fails once: the next one is made from what there is', async () => {
    const story = await Story.on(new MemoryShelf());
    for (let at = 0; at < 5; at++) await story.block([account(at, 7n)]);
    let isGone = false;
    let open = 0;
    const hold = story.store.hold.bind(story.store);
    story.store.hold = () => {
      const held = hold();
      const isOld = !isGone;
      open++;
      const state: StateReader = {
        account: (of) => held.state.account(of),
        slot: (...of) => held.state.slot(...of),
        code: (of) => held.state.code(of),
        trieNode: (...of) => {
          if (isGone && isOld) throw new MomentaryError('STORAGE_REOPENING', 'ask again');
          return held.state.trieNode(...of);
        },
      };
      const close = () => {
        open--;
        held.close();
      };
      return { ...held, state, close };
    };
    const proofs = new StateProofs(story.store, story.rootOf);
    const [address = '', other = ''] = addresses.slice(1);
    const prove = (of: string) => proofs.prove(asHeight(2n), of as Address, []);
    assert.ok((await prove(address)).ok);
    isGone = true;
    const again = async () => await prove(other);
    await assert.rejects(again(), MomentaryError);
    assert.equal(open, 0);
    assert.ok((await again()).ok);
  });
});

describe('an archive', () => {
  it('has every state since it was switched on, whatever came in between', async () => {
    const path = join(root, `db${count++}`);
    let shelf = await LevelShelf.create(path);
    const story = await Story.on(shelf);
    const grow = async (blocksMore: number) => {
      for (let more = 0; more < blocksMore; more++) {
        const at = story.twins.length % 20;
        await story.block([account(at, BigInt(1_000 + story.twins.length)), account(21, 0n)]);
      }
    };
    const reopen = async (archive: boolean | null) => {
      await shelf.close();
      shelf = await LevelShelf.open(path);
      story.store = await ShelfChainStore.open(shelf, archive);
    };
    const check = (from: number) => {
      for (const [at, twin] of story.twins.entries()) {
        const state = story.store.archived(asHeight(BigInt(at)));
        assert.equal(state !== null, at >= from, `block ${at}`);
        if (state !== null) twin.assertReadBy(state, `block ${at}`);
      }
    };
    try {
      await grow(30);
      await reopen(true);
      await grow(150);
      check(29);
      // The auditor's program opens it as it is.
      await reopen(null);
      check(29);
      await reopen(false);
      check(Number.POSITIVE_INFINITY);
      await grow(10);
      await reopen(true);
      await grow(140);
      check(189);
      const held = story.store.hold();
      const state = stateAfter(held, asHeight(200n));
      await grow(3);
      story.twins[200]?.assertReadBy(state ?? assert.fail('archived'), 'held');
      const newest = stateAfter(held, held.height) ?? assert.fail('the newest');
      story.twins[Number(held.height)]?.assertReadBy(newest, 'held, newest');
      const older = stateAfter(held, asHeight(held.height - 2n)) ?? assert.fail('in the window');
      story.twins[Number(held.height) - 2]?.assertReadBy(older, 'held, in the window');
      assert.equal(stateAfter(held, story.height), null, 'what came later');
      held.close();
    } finally {
      await shelf.close();
    }
  });
});
