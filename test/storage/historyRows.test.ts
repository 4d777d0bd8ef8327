import assert from 'node:assert/strict';
import { it } from 'node:test';
import { genesisEntry } from '#src/history/history.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import type { Address } from '#src/types/address.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { blockRows } from '#storage/blockRows.ts';

it('a transaction that makes thousands of entries of one account keeps each, in order', () => {
  const account = `0x${'aa'.repeat(20)}` as Address;
  const history = Array.from({ length: 3_000 }, (_, at) =>
    genesisEntry(account, asWei(BigInt(at)), 1_790_000_000_000),
  );
  const { changes } = new Overlay(emptyState).seal(EMPTY_TRIE_ROOT);
  const none = new Uint8Array(0);
  const rows = blockRows({
    ...{ height: asHeight(7n), hash: ZERO_HASH, block: none, senders: none, receipts: [] },
    ...{ transactions: [], history, changes, nextEpoch: null, parentHash: ZERO_HASH },
  });
  const keys = rows.filter(({ table }) => table === 'history').map(({ key }) => key);
  const texts = keys.map((key) => Buffer.from(key).toString('hex'));
  assert.equal(new Set(texts).size, history.length);
  assert.deepEqual([...texts].sort(), texts);
});
