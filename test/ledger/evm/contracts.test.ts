import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  encodeErrorResult,
  encodeFunctionData,
  getContractAddress,
  keccak256,
  parseAbi,
} from 'viem';
import { codeAt } from '#src/ledger/evm/evmState.ts';
import { runInEvm } from '#src/ledger/evm/machine.ts';
import { standardGas } from '#src/ledger/gas.ts';
import { CONSORTIUM_REGISTRY, VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { EMPTY_CODE_HASH } from '#src/ledger/state/account.ts';
import { Overlay, trimSlot } from '#src/ledger/state/overlay.ts';
import { bytesToUint, toHex, uintToBytes } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { createAddress } from '#src/types/createAddress.ts';
import { hashToBytes, keccakHash } from '#src/types/hash.ts';
import { timestampSeconds } from '#src/types/header.ts';
import {
  type Authorization,
  signAuthorization,
  type TransactionFields,
} from '#src/types/transaction.ts';
import { asGas, asHeight, asWei } from '#src/types/units.ts';
import { predeploys } from '../../../bin/predeploys.ts';
import { feeRecipient, initialBalance, people, TinyNetwork } from '../../chain/network.ts';
import { compile } from '../../solidity.ts';
import type { Person } from '../samples.ts';
import { gasLimit, probe, World } from './world.ts';

const [alice, bob, carol, dora] = people as [Person, Person, Person, Person];
const nobody = `0x${'ab'.repeat(20)}` as Address;
const elsewhere = `0x${'cd'.repeat(20)}` as Address;
const virtual = `0x01020304${'fd'.repeat(10)}${'07'.repeat(6)}` as Address;
/** Reserved, and no contract is there. */
const reserved = `0x4d5042${'00'.repeat(16)}99` as Address;

/** Where a mapping at `position` keeps the value of `key`. */
const mapped = (key: bigint, position: bigint) =>
  bytesToUint(
    hashToBytes(keccakHash(Buffer.concat([uintToBytes(key, 32), uintToBytes(position, 32)]))),
  );
const values = (key: bigint) => mapped(key, 1n);

/** What a native contract answers to a call that it does not take. */
type Refusal = 'UnknownFunction' | 'StaticCall' | 'DelegatedCall' | 'NotPayable';

describe('contracts in blocks', () => {
  it('the founders’ contract settles a payment, and a mismatch moves nothing', async () => {
    const world = await World.create();
    const founders = compile('docs/examples/PaymentContract.sol', 'PaymentContract');
    const contract = await world.deploy(alice, founders);
    const pay = (amount: bigint, value: bigint) => {
      const args = [nobody, amount] as const;
      const data = encodeFunctionData({ abi: founders.abi, functionName: 'makePayment', args });
      return world.send(bob, contract, data, { value: asWei(value) });
    };
    const [paid] = await world.block(pay(500n, 500n));
    assert.ok(paid?.succeeded);
    assert.equal(world.balance(nobody), 500n);
    assert.deepEqual(
      [0n, 1n, 2n].map((at) => world.slot(contract, at)),
      [BigInt(bob.address), BigInt(nobody), 500n],
    );
    const [refused] = await world.block(pay(500n, 499n));
    assert.equal(refused?.succeeded, false);
    assert.equal(world.balance(nobody), 500n);
    assert.equal(world.balance(contract), 0n);
    await world.close(alice.address, bob.address, contract, nobody, feeRecipient);
  });

  it('logs and storage are those of the call; a failed one leaves nonce and fee', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe, 1_000n);
    const [set] = await world.block(world.call(bob, address, 'set', [5n, 77n]));
    assert.equal(world.slot(address, values(5n)), 77n);
    assert.equal(set?.logs.length, 1);
    assert.equal(set?.logs[0]?.address, address);
    assert.equal(set?.logs[0]?.topics[1], `0x${'00'.repeat(12)}${bob.address.slice(2)}`);
    const before = world.balance(bob.address);
    const [refused] = await world.block(world.call(bob, address, 'refuse', [9n]));
    assert.equal(refused?.succeeded, false);
    assert.deepEqual(refused?.logs, []);
    const fee = (refused?.cumulativeGasUsed ?? 0n) * 10n;
    assert.equal(world.balance(bob.address), before - fee);
    const [exhausted] = await world.block(world.call(bob, address, 'burnGas', []));
    assert.equal(exhausted?.succeeded, false);
    assert.equal(exhausted?.cumulativeGasUsed, gasLimit, 'out of gas pays for all of it');
    assert.equal(world.slot(address, values(0n)), 0n);
    await world.close(alice.address, bob.address, address, feeRecipient);
  });

  it('3529: clearing a slot gives back a fifth of the gas at the most', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe);
    await world.block(world.call(bob, address, 'set', [5n, 77n]));
    const clear = world.call(bob, address, 'set', [5n, 0n]);
    const keep = world.call(carol, address, 'set', [6n, 0n]);
    const [cleared] = await world.block(clear);
    const [kept] = await world.block(keep);
    assert.ok(cleared?.succeeded && kept?.succeeded);
    // A write of 0 over 0 costs 100, over 77 it costs 2,900, and gives 4,800 back.
    const more = 2_900n - 100n - 4_800n;
    assert.equal(cleared.cumulativeGasUsed - kept.cumulativeGasUsed, more);
    assert.ok(standardGas(clear) < cleared.cumulativeGasUsed);
    await world.close(bob.address, carol.address);
  });

  it('coin that contracts move is in the history, and what was reverted is not', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe, 10_000n);
    const spread = world.call(bob, address, 'spread', [[nobody, elsewhere, nobody], 7n], {
      value: asWei(5n),
    });
    await world.block(spread);
    assert.equal(world.balance(nobody), 14n);
    assert.equal(world.balance(elsewhere), 7n);
    const [tried] = await world.block(world.call(bob, address, 'tryPay', [nobody, 7n]));
    assert.ok(tried?.succeeded);
    assert.equal(world.balance(nobody), 14n);
    await world.block(world.call(bob, address, 'make', [100n]));
    const child = createAddress(address, 1n);
    assert.equal(world.balance(child), 100n);
    assert.equal(world.slot(child, 0n), 7n);
    await world.block(world.call(bob, address, 'killChild', [elsewhere]));
    assert.equal(world.balance(elsewhere), 107n, '6780: its coin goes');
    assert.equal(world.slot(child, 0n), 7n, 'and it stays');
    await world.block(world.call(bob, address, 'makeAndDie', [50n, nobody]));
    assert.equal(world.balance(nobody), 64n);
    assert.equal(world.chain.account(createAddress(address, 2n)), null, 'it never was');
    await world.close(bob.address, address, child, nobody, elsewhere, feeRecipient);
  });

  it('no coin is burned: who gives up to itself keeps it, without code', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe, 10_000n);
    const [receipt] = await world.block(world.call(bob, address, 'makeAndDieToItself', [60n]));
    assert.ok(receipt?.succeeded);
    const child = createAddress(address, 1n);
    const left = world.chain.account(child);
    assert.deepEqual([left?.balance, left?.nonce], [60n, 0n]);
    assert.equal(world.slot(child, 0n), 0n);
    // Its address is free again, and what it holds can be had.
    await world.close(address, child);
  });

  it('coin comes to reserved addresses by their contracts, to virtual ones never', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe, 10_000n);
    for (const to of [reserved, CONSORTIUM_REGISTRY, virtual]) {
      const [sent] = await world.block(world.call(bob, address, 'spread', [[to], 7n]));
      assert.equal(sent?.succeeded, false, 'sent');
      const [died] = await world.block(world.call(bob, address, 'dieTo', [to]));
      assert.equal(died?.succeeded, false, 'left by will');
      assert.equal(world.balance(to), 0n);
    }
    assert.equal(world.balance(address), 10_000n);
    await world.close(address, reserved);
  });

  it('code sees the block as its header tells it, and its ancestors’ hashes', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe);
    const parent = world.chain.head;
    // Not final yet when its child is executed: the hash comes from memory.
    const blocks = [];
    for (const [at, person] of [bob, carol, dora].entries()) {
      const call = world.call(person, address, 'remember', [BigInt(at + 1)]);
      const block = await world.proposer.buildSoon([call], { parent: blocks.at(-1) ?? parent });
      assert.equal(await world.verifier.chain.check(block), null);
      blocks.push(block);
    }
    await world.proposer.commit(...blocks);
    await world.verifier.commit(...blocks);
    for (const back of [1n, 2n, 3n]) {
      assert.equal(world.slot(address, values(back)), BigInt(parent.hash), `${back} back`);
    }
    const child = blocks.at(-1) ?? assert.fail();
    const { header } = child;
    const rules = world.network.params.rules;
    const seen = [1000n, 1001n, 1002n, 1003n, 1004n, 1005n, 1006n];
    assert.deepEqual(
      seen.map((key) => world.slot(address, values(key))),
      [
        header.height,
        BigInt(timestampSeconds(header)),
        rules.chainId,
        header.baseFeePerGas,
        BigInt(header.coinbase),
        BigInt(header.prevRandao),
        rules.evmLaneGasLimit,
      ],
    );
    for (let height = 0; height < 260; height++) await world.block();
    await world.block(world.call(bob, address, 'remember', [256n]));
    const at = world.chain.head.header.height - 256n;
    const hash = world.chain.blockAt(at as typeof header.height)?.hash ?? '0x0';
    assert.equal(world.slot(address, values(256n)), BigInt(hash));
    await world.block(world.call(bob, address, 'remember', [257n]));
    assert.equal(world.slot(address, values(257n)), 0n);
    await world.close(address);
  });

  it('reads native contracts from Solidity, and gets their errors', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe, 10n ** 17n);
    const [read] = await world.block(
      world.call(bob, address, 'rolesOf', [CONSORTIUM_REGISTRY, feeRecipient]),
    );
    assert.ok(read?.succeeded, 'extcodesize and the return data satisfy Solidity');
    assert.ok(world.slot(address, values(3000n)) > 0n, 'an operator of the genesis has roles');
    const abi = parseAbi([
      'function unbond(uint64 index, uint256 amount)',
      'function nonsense()',
      'error UnknownFunction(bytes4 selector)',
      'error StaticCall(bytes4 selector)',
      'error DelegatedCall(bytes4 selector)',
      'error NotPayable(bytes4 selector)',
    ]);
    const answer = () =>
      [2000n, 2001n].map((key) => world.slot(address, values(key))) as [bigint, bigint];
    const refusal = (errorName: Refusal, selector: string) => {
      const args = [selector as `0x${string}`] as const;
      return [2n, BigInt(keccak256(encodeErrorResult({ abi, errorName, args })))];
    };
    const unstake = encodeFunctionData({ abi, functionName: 'unbond', args: [0n, 1n] });
    const selector = unstake.slice(0, 10);
    const nonsense = encodeFunctionData({ abi, functionName: 'nonsense' });
    const to = VALIDATOR_REGISTRY;
    await world.block(world.call(bob, address, 'callOther', [to, nonsense, 0n]));
    assert.deepEqual(answer(), refusal('UnknownFunction', nonsense));
    await world.block(world.call(bob, address, 'staticOther', [to, unstake]));
    assert.deepEqual(answer(), refusal('StaticCall', selector));
    await world.block(world.call(bob, address, 'delegateOther', [to, unstake]));
    assert.deepEqual(answer(), refusal('DelegatedCall', selector));
    await world.block(world.call(bob, address, 'callOther', [to, unstake, 5n]));
    assert.deepEqual(answer(), refusal('NotPayable', selector));
    await world.close(address, VALIDATOR_REGISTRY);
  });

  it('7702: an account lends itself to code, pays with it, and takes it back', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe);
    const lend = (from: Person, target: Address, nonce: bigint, chainId = 0n) =>
      signAuthorization({ chainId, address: target, nonce }, from.key);
    const lending = (sender: Person, list: Authorization[], fields: Partial<TransactionFields>) =>
      world.send(sender, address, '0x', { type: 4, authorizationList: list, ...fields });
    const foreign = { ...lend(dora, address, 0n), s: 1n };
    const list = [
      lend(carol, address, 0n),
      lend(bob, address, 1n, world.network.params.chainId),
      lend(dora, address, 7n),
      foreign,
    ];
    const transaction = lending(bob, list, {});
    const [lent] = await world.block(transaction);
    assert.ok(lent?.succeeded);
    const code = (who: Address) => {
      const state = world.chain.stateAfter(world.chain.head.hash) ?? assert.fail();
      return Buffer.from(codeAt(state, who)).toString('hex');
    };
    const delegation = `ef0100${address.slice(2)}`;
    assert.deepEqual(
      [carol, bob, dora].map((one) => code(one.address)),
      [delegation, delegation, ''],
    );
    assert.deepEqual(
      [carol, bob, dora].map((one) => world.nonceOf(one)),
      [1n, 2n, 0n],
    );
    // Two of the four accounts are there: 25,000 would come back, and a fifth of all does.
    const used = lent.cumulativeGasUsed;
    assert.ok(used >= (121_000n * 4n) / 5n && used < 97_500n, `${used}`);

    const [paid] = await world.block(
      world.call(alice, carol.address, 'spread', [[nobody], 5n]),
      world.send(carol, bob.address, '0x', { nonce: world.nonceOf(carol), value: asWei(3n) }),
    );
    assert.ok(paid?.succeeded, 'her coin is paid by whoever calls, as her code allows');
    assert.equal(world.balance(nobody), 5n);
    const back = lending(alice, [lend(carol, ZERO_ADDRESS, world.nonceOf(carol))], {});
    await world.block(back);
    assert.equal(code(carol.address), '');
    const failing = world.call(alice, address, 'refuse', [1n], {
      type: 4,
      authorizationList: [lend(carol, address, world.nonceOf(carol))],
    });
    const [failed] = await world.block(failing);
    assert.equal(failed?.succeeded, false);
    assert.equal(code(carol.address), delegation, 'it stands though the call failed');
    const native = lending(alice, [lend(carol, ZERO_ADDRESS, world.nonceOf(carol))], {
      to: CONSORTIUM_REGISTRY,
    });
    const [refused] = await world.block(native);
    assert.equal(refused?.succeeded, false, 'a call without a selector');
    assert.equal(code(carol.address), '');
    await world.close(alice.address, bob.address, carol.address, nobody, feeRecipient);
  });

  it('2200, 3529: what a slot held before the transaction prices its writes', async () => {
    const world = await World.create();
    const rows = [
      // To 1 and back to 0, from 0; to 0 and back to 1, from 1; the tables of both EIPs.
      { code: '60016000556000600055', first: 0, gas: 22_212n, refund: 19_900n },
      { code: '60006000556001600055', first: 1, gas: 5_112n, refund: 2_800n },
      { code: '600260005560036000556001600055', first: 1, gas: 5_218n, refund: 2_800n },
    ];
    for (const { code, first, gas, refund } of rows) {
      const state = new Overlay(world.chain.stateAfter(world.chain.head.hash) ?? assert.fail());
      const codeHash = state.setCode(Buffer.from(code, 'hex'));
      state.changeAccount(nobody, (account) => ({ ...account, nonce: 1n, codeHash }));
      state.setSlot(nobody, '0'.repeat(64), trimSlot(Uint8Array.of(first)));
      const { rules } = world.network.params;
      const facts = { height: asHeight(9n), timestampMs: 1, blockHash: () => null };
      const chain = { chainId: rules.chainId, baseFeePerGas: 1n, gasLimit: 1_000_000n };
      const outcome = await runInEvm(
        state,
        { ...facts, ...chain, coinbase: nobody, prevRandao: keccakHash(Uint8Array.of()) },
        {
          ...{ sender: bob.address, to: nobody, value: 0n, data: new Uint8Array(0) },
          ...{ gas: 100_000n, gasPrice: 1n, accessList: [], warm: [] },
        },
      );
      assert.deepEqual([outcome.gasUsed, outcome.refund], [gas, refund], code);
    }
  });

  it('a genesis may hold contracts, with storage, and they run', async () => {
    // SLOAD of the first word of the call data, plus one, to slot 0.
    const code = '0x5f35546001015f5500';
    const storage = { [toHex(uintToBytes(9n, 32))]: toHex(uintToBytes(41n, 32)) };
    const network = new TinyNetwork([1, 1, 1, 1], undefined, undefined, {
      [nobody]: { balance: '5', code, storage },
    });
    const world = await World.create(network);
    assert.equal(world.slot(nobody, 9n), 41n);
    assert.deepEqual([world.balance(nobody), world.chain.account(nobody)?.nonce], [5n, 1n]);
    const [receipt] = await world.block(world.send(bob, nobody, toHex(uintToBytes(9n, 32))));
    assert.ok(receipt?.succeeded);
    assert.equal(world.slot(nobody, 0n), 42n);
    await world.close(nobody, bob.address);
  });

  it('the standard predeploys are what tools expect, and a factory deploys', async () => {
    const contracts = Object.entries(predeploys.standard ?? {});
    const alloc = contracts.map(([address, code]) => [address, { balance: '0', code }]);
    const network = new TinyNetwork([1, 1, 1, 1], undefined, undefined, Object.fromEntries(alloc));
    const world = await World.create(network);
    const factory = '0x4e59b44847b379578588920ca78fbf26c0b4956c' as Address;
    const hash = '0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989';
    assert.equal(world.chain.account(factory)?.codeHash, hash, 'as it stands on every network');
    // A salt of zeros, and init code that leaves the one byte STOP.
    const init = '0x60015ff3';
    const data = `0x${'00'.repeat(32)}${init.slice(2)}`;
    const [receipt] = await world.block(world.send(bob, factory, data));
    assert.ok(receipt?.succeeded);
    const salt = `0x${'00'.repeat(32)}` as const;
    const at = getContractAddress({ from: factory, salt, bytecode: init, opcode: 'CREATE2' });
    const made = world.chain.account(at.toLowerCase() as Address);
    assert.equal(made?.codeHash, keccakHash(Uint8Array.of(0)));
    await world.close(bob.address);
  });

  it('a bare transfer to a contract runs it, on the budget of contracts', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe);
    const none = new Uint8Array(0);
    const [given] = await world.block(world.send(bob, address, '0x', { value: asWei(9n) }));
    assert.ok(given?.succeeded && given.cumulativeGasUsed > 21_000n);
    assert.equal(world.balance(address), 9n);
    const exact = { value: asWei(9n), gasLimit: asGas(21_000n), data: none };
    const [short] = await world.block(world.send(bob, address, '0x', exact));
    assert.equal(short?.succeeded, false, 'nothing is left for its code');
    // Each asks for all of the budget, of which the first one uses some.
    const whole = { gasLimit: asGas(3_000_000n) };
    const both = [world.send(bob, address, '0x', whole), world.send(carol, address, '0x', whole)];
    const built = await world.proposer.buildSoon(both);
    assert.equal(built.transactions.length, 1);
    const accessList = Array.from({ length: 900 }, () => ({ address, storageKeys: [] }));
    const listed = { gasLimit: asGas(10_000_000n), accessList };
    const tooMuch = await world.proposer.buildSoon([world.send(bob, address, '0x', listed)]);
    assert.equal(tooMuch.transactions.length, 0, 'its list alone costs more than the budget');
    const most = { gasLimit: asGas(10_000_000n), value: asWei(1n) };
    const [all] = await world.block(world.send(bob, address, '0x', most));
    assert.ok(all?.succeeded, 'more than the whole budget is cut to it');
    await world.close(address, bob.address);
  });

  it('a contract may be as large as Ethereum’s, though there is less gas for code', async () => {
    const world = await World.create();
    // 24,576 zeros as code: 4,915,200 gas for its bytes, and 2,300 or so for what it does.
    const largest = '0x6160005ff3';
    const fields = { gasLimit: asGas(5_000_000n) };
    const address = createAddress(bob.address, world.nonceOf(bob));
    const [made] = await world.block(world.send(bob, null, largest, fields));
    assert.ok(made?.succeeded && made.cumulativeGasUsed > 4_900_000n);
    assert.notEqual(world.chain.account(address)?.codeHash, EMPTY_CODE_HASH);
    // What it does has its bound all the same: a jump to itself until the gas ends.
    const endless = '0x5b5f56';
    const [failed] = await world.block(world.send(carol, null, endless, fields));
    assert.equal(failed?.succeeded, false);
    const { evmLaneGasLimit } = world.network.params.rules;
    const own = 53_000n + 2n + 3n * 16n;
    assert.equal(failed?.cumulativeGasUsed, own + evmLaneGasLimit);
    await world.close(bob.address, address);
  });

  it('a creation whose constructor fails, or whose code is too long, makes nothing', async () => {
    const world = await World.create();
    const rows = [
      // PUSH0 PUSH0 REVERT; then 24,577 zeros as code; then code that begins with EF.
      { data: '0x5f5ffd', spends: false },
      { data: '0x6160015ff3', spends: true },
      { data: '0x60ef5f5360015ff3', spends: true },
    ];
    for (const { data, spends } of rows) {
      const value = asWei(33n);
      const address = createAddress(bob.address, world.nonceOf(bob));
      const [receipt] = await world.block(world.send(bob, null, data, { value }));
      assert.equal(receipt?.succeeded, false, data);
      assert.equal(receipt?.cumulativeGasUsed === gasLimit, spends, data);
      assert.equal(world.chain.account(address), null);
    }
    assert.equal(world.nonceOf(bob), 3n);
    assert.ok(world.balance(bob.address) < initialBalance);
    await world.close(bob.address, feeRecipient);
  });

  it('one that runs on other state than its own is executed once, and waits its turn', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe);
    const block = await world.proposer.buildSoon([world.call(bob, address, 'set', [1n, 2n])]);
    const { chain } = world.verifier;
    const [first, again] = [chain.check(block), chain.check(block)];
    assert.ok(first instanceof Promise);
    assert.equal(first, again);
    assert.equal(await first, null);
    assert.equal(chain.check(block), null, 'known by now, and so at once');
  });

  it('code runs to its end within one turn of the event loop', async () => {
    const world = await World.create();
    const address = await world.deploy(alice, probe);
    const burn = world.call(bob, address, 'burnGas', []);
    let turns = 0;
    const count = setInterval(() => turns++, 0);
    setImmediate(() => turns++);
    await world.proposer.buildSoon([burn]);
    clearInterval(count);
    assert.equal(turns, 0);
  });
});
