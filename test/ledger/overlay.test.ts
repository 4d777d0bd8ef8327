import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import type { Address } from '#src/types/address.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';

const contract = '0x4d50420000000000000000000000000000000022' as Address;
const slot = '00'.repeat(32);

test('storage without an account is our own bug: it would not be under the root', () => {
  const state = new Overlay(emptyState);
  state.setSlot(contract, slot, Uint8Array.of(5));
  assert.throws(() => state.seal(EMPTY_TRIE_ROOT), { name: 'InvariantError' });
});

test('a native contract that has a nonce keeps its storage under the root', () => {
  const state = new Overlay(emptyState);
  state.setAccount(contract, { ...EMPTY_ACCOUNT, nonce: 1n });
  state.setSlot(contract, slot, Uint8Array.of(5));
  const { changes } = state.seal(EMPTY_TRIE_ROOT);
  assert.notEqual(changes.accounts.get(contract)?.storageRoot, EMPTY_TRIE_ROOT);
});

test('code that was set before a revert is gone', () => {
  const state = new Overlay(emptyState);
  const checkpoint = state.checkpoint();
  const hash = state.setCode(Uint8Array.of(1));
  state.revertTo(checkpoint);
  assert.equal(state.code(hash), null);
  assert.equal(state.seal(EMPTY_TRIE_ROOT).changes.code.size, 0);
});
