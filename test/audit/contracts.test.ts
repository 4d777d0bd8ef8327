import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodeFunctionData } from 'viem';
import { replay } from '#src/audit/replay.ts';
import { ed25519Sign } from '#src/crypto/ed25519.ts';
import { deltaOf } from '#src/history/history.ts';
import { GOVERNANCE, VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { hasPendingChanges, validatorRegistry } from '#src/ledger/payments/validatorRegistry.ts';
import { concatBytes, fromHex, toHex } from '#src/lib/bytes.ts';
import { keccakHash } from '#src/types/hash.ts';
import { asEpoch, asGas, asView } from '#src/types/units.ts';
import { encodeStatement, VoteKind } from '#src/types/vote.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import { initialBalance, people, TinyChain, TinyNetwork } from '../chain/network.ts';

it('a slash in a real chain: history, replay and the next set agree', async () => {
  const network = new TinyNetwork();
  const tiny = await TinyChain.create(network, new MemoryShelf());
  const [reporter] = people;
  assert.ok(reporter !== undefined);
  const votes = [1, 2].map((byte) => {
    const statement = {
      ...{ kind: VoteKind.Finalize, epoch: asEpoch(0), view: asView(9), parentView: asView(8) },
      blockHash: keccakHash(Uint8Array.of(byte)),
    };
    const signed = encodeStatement(statement, network.params.electorate.networkId);
    return toHex(concatBytes(signed, ed25519Sign(network.seeds[2] ?? assert.fail(), signed)));
  });
  const call = (index: bigint) => {
    const functionName = 'submitEvidence';
    const args = [index, ...votes];
    const data = encodeFunctionData({ abi: validatorRegistry.abi, functionName, args });
    const fields = { data: fromHex(data) ?? assert.fail(), gasLimit: asGas(1_000_000n) };
    return tiny.pay(reporter, VALIDATOR_REGISTRY, 0n, fields);
  };
  await tiny.append([call(2n)]);
  await tiny.append([call(2n)]);
  const [first, second] = [1, 2].map((at) => tiny.events[at - 1]?.receipts[0]);
  assert.deepEqual([first?.succeeded, second?.succeeded], [true, false], 'once, not twice');
  assert.equal(first?.logs.length, 1);
  const state = tiny.chain.stateAfter(tiny.chain.head.hash) ?? assert.fail('the head has a state');
  assert.ok(hasPendingChanges(state));
  for (const address of [GOVERNANCE, VALIDATOR_REGISTRY, reporter.address]) {
    const page = await tiny.chain.history(address, null, 100);
    const sum = (page?.entries ?? []).reduce((total, entry) => total + deltaOf(entry), 0n);
    assert.equal(sum, tiny.chain.account(address)?.balance, address);
  }
  assert.equal(tiny.chain.account(GOVERNANCE)?.balance, initialBalance / 10n);
  const verdict = await replay(network.params, tiny.store, () => {});
  assert.ok(verdict.ok, verdict.ok ? '' : JSON.stringify(verdict.refusal, String));
  for (let height = 3; height < 10; height++) await tiny.append([]);
  const last = tiny.build([]);
  assert.equal(last.header.height, 10n);
  assert.equal(last.header.consensus.epochEnd, true);
  assert.notEqual(last.header.consensus.nextValidatorsHash, network.params.electorate.set.hash);
});
