import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createMPT } from '@ethereumjs/mpt';
import { keccak256 } from '#src/crypto/keccak.ts';
import { readTrie, StateDamagedError, updateTrie } from '#src/ledger/state/trie.ts';
import { type TrieNode, trieNode } from '#src/ledger/state/trieNode.ts';
import { toBareHex, toHex, utf8 } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Hash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';

class Store {
  readonly nodes = new Map<string, TrieNode>();
  root: Hash = EMPTY_TRIE_ROOT;
  readonly read = (path: string) => this.nodes.get(path) ?? null;

  update(changes: readonly { path: string; value: Uint8Array | null }[]): void {
    const { root, writes } = updateTrie(this.read, this.root, changes);
    for (const [path, node] of writes) {
      if (node === null) this.nodes.delete(path);
      else this.nodes.set(path, node);
    }
    this.root = root;
  }
}

const pathOf = (key: Uint8Array) => toBareHex(keccak256(key));

describe('state trie', () => {
  it('has the root of an independent trie after every batch of random changes', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new SeededRandom(seed);
      const store = new Store();
      const other = await createMPT({ useKeyHashing: false });
      const keys = Array.from({ length: 60 }, () => {
        const key = random.bytes(32);
        // Long common beginnings make extensions, and short values make embedded nodes.
        if (random.chance(0.6)) key.fill(0xab, 0, random.below(32));
        return key;
      });
      for (let batch = 0; batch < 12; batch++) {
        const changes = new Map<string, Uint8Array | null>();
        for (let i = random.below(25); i >= 0; i--) {
          const key = random.pick(keys);
          const short = random.bytes(1 + random.below(3));
          const value = random.chance(0.4) ? null : random.chance(0.5) ? short : random.bytes(40);
          changes.set(toBareHex(key), value);
        }
        for (const [path, value] of changes) {
          const key = new Uint8Array(Buffer.from(path, 'hex'));
          if (value === null) await other.del(key);
          else await other.put(key, value);
        }
        store.update([...changes].map(([path, value]) => ({ path, value })));
        assert.equal(store.root, toHex(other.root()), `seed ${seed}, batch ${batch}`);
        for (const [path, value] of changes) {
          assert.deepEqual(readTrie(store.read, store.root, path), value, `seed ${seed}`);
        }
      }
    }
  });

  it('leaves nothing behind in the store', () => {
    const random = new SeededRandom(7);
    const store = new Store();
    const keys = Array.from({ length: 300 }, () => pathOf(random.bytes(20)));
    store.update(keys.map((path) => ({ path, value: utf8('some value of thirty two bytes..') })));
    assert.ok(store.nodes.size > 300);
    store.update(keys.slice(1).map((path) => ({ path, value: null })));
    assert.equal(store.nodes.size, 1);
    store.update([{ path: keys[0] ?? '', value: null }]);
    assert.equal(store.nodes.size, 0);
    assert.equal(store.root, EMPTY_TRIE_ROOT);
  });

  it('rewrites only the path to what changed', () => {
    const random = new SeededRandom(8);
    const store = new Store();
    const keys = Array.from({ length: 2_000 }, () => pathOf(random.bytes(20)));
    store.update(keys.map((path) => ({ path, value: random.bytes(70) })));
    const path = keys[5] ?? '';
    const { writes } = updateTrie(store.read, store.root, [{ path, value: random.bytes(70) }]);
    assert.ok(writes.size <= 6, `${writes.size} nodes`);
    const same = readTrie(store.read, store.root, path);
    assert.equal(updateTrie(store.read, store.root, [{ path, value: same }]).writes.size, 0);
  });

  it('notices a node that is not the one its parent names', () => {
    const random = new SeededRandom(9);
    const store = new Store();
    const keys = Array.from({ length: 50 }, () => pathOf(random.bytes(20)));
    store.update(keys.map((path) => ({ path, value: random.bytes(70) })));
    const path = keys[0] ?? '';
    for (const [at, node] of [...store.nodes]) {
      if (!path.startsWith(at)) continue;
      const damaged = Uint8Array.from(node.bytes);
      damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
      store.nodes.set(at, trieNode(damaged));
      assert.throws(() => readTrie(store.read, store.root, path), StateDamagedError);
      store.nodes.delete(at);
      assert.throws(() => readTrie(store.read, store.root, path), StateDamagedError);
      store.nodes.set(at, node);
    }
  });

  const vectors = join(
    process.env.MPBP_VECTORS ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'vectors'),
    'TrieTests',
  );
  for (const name of [
    'trieanyorder_secureTrie',
    'trietest_secureTrie',
    'hex_encoded_securetrie_test',
  ]) {
    const file = join(vectors, `${name}.json`);
    it(`public vectors: ${name}`, { skip: existsSync(file) ? false : 'no vectors here' }, () => {
      type Cases = Record<
        string,
        { in: [string, string | null][] | Record<string, string>; root: string }
      >;
      const cases = JSON.parse(readFileSync(file, 'utf8')) as Cases;
      for (const [title, { in: input, root }] of Object.entries(cases)) {
        const store = new Store();
        const bytes = (text: string) =>
          text.startsWith('0x') ? new Uint8Array(Buffer.from(text.slice(2), 'hex')) : utf8(text);
        const pairs = Array.isArray(input) ? input : Object.entries(input);
        for (const [key, value] of pairs) {
          store.update([{ path: pathOf(bytes(key)), value: value === null ? null : bytes(value) }]);
        }
        assert.equal(store.root, root, title);
      }
    });
  }
});
