import type { Block } from '#src/types/block.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import { asHeight, type Height } from '#src/types/units.ts';

/**
 * The hashes of a block and its ancestors by height, for code that asks: through the blocks that
 * are not final yet, then along the final chain. Each is looked up once, as an answer costs 20 gas.
 */
export function ancestorHashes(
  newest: Block,
  unfinal: (hash: Hash) => Block | null,
  finalHeader: (height: Height) => Header | null,
): (height: Height) => Hash | null {
  const known = new Map<Height, Hash>([[newest.header.height, newest.hash]]);
  const find = (height: Height): Hash | null => {
    for (let block: Block | null = newest; block !== null; ) {
      const { parentHash, height: at } = block.header;
      if (at === height) return block.hash;
      if (at === height + 1n) return parentHash;
      block = unfinal(parentHash);
    }
    return finalHeader(asHeight(height + 1n))?.parentHash ?? null;
  };
  return (height) => {
    if (height > newest.header.height) return null;
    const hash = known.get(height) ?? find(height);
    if (hash !== null) known.set(height, hash);
    return hash;
  };
}
