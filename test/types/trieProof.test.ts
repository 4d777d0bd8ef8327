import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMPT, verifyMPTWithMerkleProof } from '@ethereumjs/mpt';
import { SeededRandom } from '#src/lib/random.ts';
import { hashToBytes } from '#src/types/hash.ts';
import { listKey, listRoot, proveListItem } from '#src/types/listRoot.ts';
import { readProof } from '#src/types/trieProof.ts';

const random = new SeededRandom(11);
const bytes = (length: number) => Uint8Array.from({ length }, () => random.below(256));
/** Short ones stand inside their parents, long ones behind hashes. */
const list = (count: number) => Array.from({ length: count }, () => bytes(1 + random.below(60)));

describe('a proof of an item of a list', () => {
  it('shows every item of lists of all sizes, here and in an independent library', async () => {
    const trie = await createMPT({});
    for (const count of [1, 2, 3, 16, 17, 127, 128, 129, 130, 255, 256, 257, 400]) {
      const items = list(count);
      const root = listRoot(items);
      for (const [index, item] of items.entries()) {
        const nodes = proveListItem(items, index);
        assert.deepEqual(readProof(root, listKey(index), nodes), item, `${index} of ${count}`);
        if (index % 37 !== 0) continue;
        const theirs = await verifyMPTWithMerkleProof(
          trie,
          hashToBytes(root),
          listKey(index),
          nodes,
        );
        assert.deepEqual(theirs, item);
      }
    }
  });

  it('shows nothing else, however it is changed', () => {
    const items = list(200);
    const root = listRoot(items);
    for (let tried = 0; tried < 2_000; tried++) {
      const index = random.below(200);
      const nodes: Uint8Array[] = proveListItem(items, index).map((node) => node.slice());
      const at = random.below(nodes.length);
      const kinds = [
        () => {
          const node = nodes[at] as Uint8Array;
          const byte = random.below(node.length);
          node[byte] = (node[byte] ?? 0) ^ (1 + random.below(255));
        },
        () => nodes.splice(at, 1),
        () => nodes.splice(at, 0, bytes(40)),
        () => nodes.push(nodes[at] as Uint8Array),
        () => nodes.reverse(),
        () => {
          nodes[at] = (nodes[at] as Uint8Array).slice(0, -1);
        },
      ];
      const kind = random.below(kinds.length);
      (kinds[kind] as () => unknown)();
      const isSame = kind === 4 && nodes.length === 1;
      const read = readProof(root, listKey(index), nodes);
      assert.equal(read === null, !isSame, `kind ${kind}, ${nodes.length} nodes`);
    }
  });

  it('is of one index', () => {
    const items = list(150);
    const root = listRoot(items);
    for (let index = 0; index < 150; index++) {
      const nodes = proveListItem(items, index);
      for (const other of [index + 1, index + 16, 1_000]) {
        const read = readProof(root, listKey(other), nodes);
        // Two that stand inside one node are shown by the same nodes.
        if (read !== null) assert.deepEqual(read, items[other]);
      }
    }
  });

  it('of nonsense is nothing', () => {
    const root = listRoot(list(3));
    assert.equal(readProof(root, listKey(0), []), null);
    assert.equal(readProof(root, listKey(0), Array(100).fill(bytes(32))), null);
    for (let tried = 0; tried < 500; tried++) {
      assert.equal(readProof(root, bytes(3), [bytes(random.below(80))]), null);
    }
  });
});
