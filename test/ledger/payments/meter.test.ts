import assert from 'node:assert/strict';
import { it } from 'node:test';
import { hasPendingChanges } from '#src/ledger/payments/validatorChanges.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { person } from '../samples.ts';
import { COIN, governance, ingressOf, Ledger, peerOf, validatorRegistry } from './rig.ts';

it('a call pays for every word that it fetches', () => {
  const ledger = new Ledger();
  const view = () => ledger.send(person(5), [validatorRegistry, 'getValidator', [0n]]).gasUsed;
  const before = view();
  const host = 'b'.repeat(60);
  const long = `${peerOf(0)} /dns4/${host}.${host}.${'c'.repeat(40)}/tcp/30303`;
  assert.deepEqual([Math.ceil(ingressOf(0).length / 32), Math.ceil(long.length / 32)], [3, 8]);
  const set = ledger.send(person(0), [validatorRegistry, 'setIngress', [0n, long]]);
  assert.ok(set.ok, set.reason);
  assert.equal(view() - before, 5n * 2_100n);
});

it('a proposal pays for every word that it keeps', () => {
  const ledger = new Ledger();
  const gasOf = (words: number) => {
    const call = `${activateSelector()}${'11'.repeat(32 * words)}`;
    const args = [[validatorRegistry.address], [call], 0, ''];
    const sent = ledger.send(person(0), [governance, 'propose', args]);
    assert.ok(sent.ok, sent.reason);
    return sent.gasUsed;
  };
  assert.ok(gasOf(101) - gasOf(1) > 100n * 11_000n);
});

it('whether anything waits is one word', () => {
  const ledger = new Ledger();
  const bond = [validatorRegistry, 'bond', [0n, ZERO_ADDRESS, COIN]] as const;
  for (const want of [false, true]) {
    let reads = 0;
    const counting: StateReader = {
      account: (address) => ledger.state.account(address),
      code: (hash) => ledger.state.code(hash),
      trieNode: (owner, path) => ledger.state.trieNode(owner, path),
      slot: (address, key) => {
        reads++;
        return ledger.state.slot(address, key);
      },
    };
    assert.deepEqual([hasPendingChanges(counting), reads], [want, 1]);
    assert.ok(ledger.send(person(0), bond, { value: COIN }).ok);
  }
});

function activateSelector(): string {
  for (const [selector, { name }] of validatorRegistry.functions) {
    if (name === 'activateValidator') return selector;
  }
  return assert.fail('it is in the ABI');
}
