import { assert } from '#src/lib/failure.ts';
import { RecentlyUsed } from '#src/lib/recentlyUsed.ts';
import { addressFromBytes } from '#src/types/address.ts';
import { type Block, decodeBlock, decodeBlockHeader } from '#src/types/block.ts';
import type { Header } from '#src/types/header.ts';
import { decodeReceipt, type Receipt } from '#src/types/receipt.ts';
import type { Height } from '#src/types/units.ts';
import type { ChainParams } from './params.ts';
import type { ChainStore } from './store.ts';

/** In blocks and in receipts that are kept decoded, for those who poll: about 20 MiB each. */
const decodedTransactionsMax = 16_384;

/** Final blocks and their receipts as the store has them, the recent ones decoded already. */
export class DecodedBlocks {
  readonly #params: ChainParams;
  readonly #store: ChainStore;
  readonly #blocks = new RecentlyUsed<Height, Block>(
    decodedTransactionsMax,
    ({ transactions }) => transactions.length + 1,
  );
  readonly #receipts = new RecentlyUsed<Height, readonly Receipt[]>(
    decodedTransactionsMax,
    (receipts) => receipts.length + 1,
  );

  constructor(params: ChainParams, store: ChainStore) {
    this.#params = params;
    this.#store = store;
  }

  remember(block: Block, receipts: readonly Receipt[]): void {
    const { height } = block.header;
    this.#blocks.set(height, block);
    this.#receipts.set(height, receipts);
  }

  block(height: Height): Block | null {
    const recent = this.#blocks.get(height);
    if (recent !== undefined) return recent;
    if (height === 0n) return this.#params.genesis.block;
    const bytes = this.#store.block(height);
    const senders = this.#store.senders(height);
    if (bytes === null || senders === null) return null;
    let next = 0;
    const decoded = decodeBlock(bytes, {
      chainId: this.#params.chainId,
      senderOf: () => addressFromBytes(senders.slice(20 * next, 20 * ++next)),
    });
    assert(decoded.ok, 'a stored block decodes');
    this.#blocks.set(height, decoded.value);
    return decoded.value;
  }

  header(height: Height): Header | null {
    const recent = this.#blocks.get(height);
    if (recent !== undefined) return recent.header;
    const bytes = this.#store.block(height);
    if (bytes === null) return null;
    const header = decodeBlockHeader(bytes);
    assert(header.ok, 'a stored header decodes');
    return header.value;
  }

  receipts(height: Height): readonly Receipt[] | null {
    const recent = this.#receipts.get(height);
    if (recent !== undefined) return recent;
    const bytes = this.#store.receipts(height);
    if (bytes === null) return null;
    const receipts = bytes.map((item) => {
      const receipt = decodeReceipt(item);
      assert(receipt.ok, 'a stored receipt decodes');
      return receipt.value;
    });
    this.#receipts.set(height, receipts);
    return receipts;
  }
}
