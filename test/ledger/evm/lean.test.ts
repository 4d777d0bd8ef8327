/**
 * Random contracts that call, create, lend and give up each other, run by the lean machine and by
 * the library as it comes: gas, output, logs, refunds and the state's root have to be the same.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Common, Hardfork, Mainnet } from '@ethereumjs/common';
import { EVM, EVMError } from '@ethereumjs/evm';
import { delegationTo, EvmState } from '#src/ledger/evm/evmState.ts';
import { interpreterPrototype } from '#src/ledger/evm/jumpTables.ts';
import { precompilePrices } from '#src/ledger/evm/precompilePrices.ts';
import { addressToLibrary, type EvmBlock, logFromLibrary, World } from '#src/ledger/evm/world.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import { bytesToUint, concatBytes, uintToBytes } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import { hashToBytes, keccakHash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { asHeight, asWei } from '#src/types/units.ts';

// Before the machine puts its own in their places.
const prototype = await interpreterPrototype();
const theirs = Object.fromEntries(
  Object.getOwnPropertyNames(prototype).map((name) => [name, Reflect.get(prototype, name)]),
);
const { runInEvm } = await import('#src/ledger/evm/machine.ts');
const ours = Object.fromEntries(
  Object.getOwnPropertyNames(prototype).map((name) => [name, Reflect.get(prototype, name)]),
);

const programs = Number(process.env.MPBP_LEAN_PROGRAMS ?? 300);
const seed = Number(process.env.MPBP_LEAN_SEED ?? 8_246);
const contracts = 6;
const at = (number: number) => `0x${number.toString(16).padStart(40, '0')}` as Address;
const sender = at(0xaaaa);
const lent = at(0xdd00);
const nobody = at(0xee00);
const contract = (index: number) => at(0xc0de00 + index);
const block: EvmBlock = {
  ...{ chainId: 6727n, coinbase: at(0xcb), prevRandao: keccakHash(Uint8Array.of(1)) },
  ...{ baseFeePerGas: 10n, gasLimit: 1_000_000n, height: asHeight(300n) },
  blockHash: (height: bigint) => keccakHash(uintToBytes(height, 8)),
  timestampMs: 1_790_000_000_000,
};

class Rules extends Common {
  override isActivatedEIP(eip: number): boolean {
    return eip === 8246 || super.isActivatedEIP(eip);
  }
}

/** The state as the library asks for it where SSTORE is its own. */
class PlainWorld extends World {
  override async putStorage(...given: readonly unknown[]): Promise<void> {
    const [address, key, value] = given as [never, Uint8Array, Uint8Array];
    this.storeWord(address, bytesToUint(key), bytesToUint(value));
  }
}

type Case = {
  readonly codes: readonly Uint8Array[];
  readonly data: Uint8Array;
  readonly to: Address | null;
  readonly gas: bigint;
  readonly warm: readonly Address[];
  readonly lentTo: number;
};

function stateOf({ codes, lentTo }: Case) {
  const state = new Overlay(emptyState);
  for (const [index, code] of codes.entries()) {
    const codeHash = state.setCode(code);
    state.setAccount(contract(index), {
      ...{ ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(BigInt(index * 5)), codeHash },
    });
    for (let slot = 0; slot < 3; slot++) {
      state.setSlot(contract(index), slot.toString(16).padStart(64, '0'), Uint8Array.of(7));
    }
  }
  const codeHash = state.setCode(delegationTo(contract(lentTo)));
  state.setAccount(lent, { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(9n), codeHash });
  state.setAccount(sender, { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(10n ** 9n) });
  const { root } = state.seal(EMPTY_TRIE_ROOT);
  return { state: new Overlay(state), root };
}

async function runLean(given: Case) {
  Object.assign(prototype, ours);
  const { state, root } = stateOf(given);
  const { to, data, gas, warm } = given;
  const message = { sender, to, value: 3n, data, gas, gasPrice: 1n, accessList: [], warm };
  const outcome = await runInEvm(state, block, message);
  const { reason, output, gasUsed, refund, logs } = outcome;
  return { reason, output, gasUsed, refund, logs, root: state.seal(root).root };
}

async function runPlain({ to, data, gas, warm, ...given }: Case) {
  Object.assign(prototype, theirs);
  const { state: overlay, root } = stateOf({ to, data, gas, warm, ...given });
  const world = new PlainWorld();
  const state = new EvmState(overlay);
  world.begin(state, block);
  const common = new Rules({
    chain: { ...Mainnet, chainId: '6727' },
    hardfork: Hardfork.Osaka,
  });
  const evm = new EVM({ common, stateManager: world, blockchain: world } as never);
  // What is no precompile here, or has another price, is none of what is compared.
  for (const address of evm.precompiles.keys()) {
    if (precompilePrices.get(`0x${address}` as Address) !== 1n) evm.precompiles.delete(address);
  }
  const always = [sender, block.coinbase, ...warm, ...(to === null ? [] : [to])];
  for (const address of precompilePrices.keys()) evm.journal.addAlwaysWarmAddress(address.slice(2));
  for (const address of always) evm.journal.addAlwaysWarmAddress(address.slice(2));
  state.checkpoint();
  const header = {
    number: block.height,
    coinbase: addressToLibrary(block.coinbase),
    timestamp: BigInt(Math.floor(block.timestampMs / 1_000)),
    difficulty: 0n,
    prevRandao: hashToBytes(block.prevRandao),
    gasLimit: block.gasLimit,
    baseFeePerGas: block.baseFeePerGas,
    getBlobGasPrice: () => 1n,
  };
  const caller = addressToLibrary(sender);
  const { execResult: result } = await evm.runCall({
    ...{ block: { header }, caller, origin: caller, value: 3n, data, gasLimit: gas, gasPrice: 1n },
    ...(to === null ? {} : { to: addressToLibrary(to) }),
    skipNonceIncrement: true,
  } as never);
  state.commit();
  const reason = result.exceptionError?.error ?? '';
  const failed = result.exceptionError !== undefined;
  const created = result.createdAddresses ?? new Set();
  for (const address of failed ? [] : (result.selfdestruct?.keys() ?? [])) {
    if (created.has(address)) state.destroy(address as Address);
  }
  return {
    ...{ reason, output: result.returnValue, gasUsed: result.executionGasUsed },
    refund: failed ? 0n : (result.gasRefund ?? 0n),
    logs: failed ? [] : (result.logs ?? []).map(logFromLibrary),
    root: overlay.seal(root).root,
  };
}

const byte = (value: number) => value.toString(16).padStart(2, '0');

function program(random: SeededRandom): Uint8Array {
  const pick = <T>(list: readonly T[]): T => random.pick(list);
  const slot = () => `60${byte(random.below(4))}`;
  const one = () =>
    pick([
      () => `73${pick([...people, ...people, sender, nobody, at(1), at(2), at(4)]).slice(2)}`,
      () => '30',
      () => '33',
      // Whatever was created last.
      () => '608051',
    ])();
  /** Whether what another frame kept for a while is still there. */
  const seen = () => `${slot()}5c${slot()}55`;
  const gas = () => pick(['5a', '5a', '5a', '61ffff', '6109c4', '60ff', '5f']);
  const parts: string[] = random.chance(0.7) ? ['365f5f37'] : [];
  const length = 2 + random.below(14);
  for (let n = 0; n < length; n++) {
    const kind = random.float();
    const [size, out] = [pick(['36', '5f', '6040', '611000']), pick(['5f', '6020', '60ff'])];
    if (kind < 0.15) parts.push(`${out}6040${size}5f${value(random)}${one()}${gas()}f1`);
    else if (kind < 0.2) parts.push(`${out}6040${size}5f${value(random)}${one()}${gas()}f2`);
    else if (kind < 0.27) parts.push(`${out}6040${size}5f${one()}61fffff4${seen()}`);
    else if (kind < 0.34) parts.push(`${out}6040${size}5f${one()}${gas()}fa`);
    else if (kind < 0.42) parts.push(`${size}5f${value(random)}f0608052`);
    else if (kind < 0.5) parts.push(`${slot()}${size}5f${value(random)}f5608052`);
    else if (kind < 0.62) parts.push(`${pick(['5f', slot(), '5a', '47'])}${slot()}55`);
    else if (kind < 0.66) parts.push(`${slot()}545f5d`);
    else if (kind < 0.72) parts.push(random.chance(0.5) ? `5a${slot()}5d` : seen());
    else if (kind < 0.78) parts.push(`${slot()}6020${slot()}a1`, `60205fa0`);
    else if (kind < 0.84) parts.push(`${one()}${pick(['31', '3b', '3f'])}${slot()}52`);
    else if (kind < 0.86) parts.push(`602060005f${one()}3c`);
    else if (kind < 0.89) parts.push(`${slot()}3d5f5f3e5050`);
    else if (kind < 0.92) parts.push(pick(['47', '5a', '58', '41', '43', '44', '48', '3a', '59']));
    else if (kind < 0.935) parts.push(`${one()}ff`);
    else if (kind < 0.95) parts.push(`${slot()}${slot()}fd`);
    else if (kind < 0.96) parts.push(byte(random.below(256)));
    else parts.push(`5860060156${byte(random.below(256))}5b`);
  }
  parts.push(pick(['00', '60405ff3', '365ff3', '60205ffd', '60ef5f5360015ff3', '33ff', 'fe', '']));
  return new Uint8Array(Buffer.from(parts.join(''), 'hex'));
}

const value = (random: SeededRandom) =>
  random.pick(['5f', '5f', '5f', '6001', '34', '47', '61ffff']);
const people = [...Array.from({ length: contracts }, (_, index) => contract(index)), lent];

function caseOf(random: SeededRandom): Case {
  const codes = Array.from({ length: contracts }, () => program(random));
  const inner = random.chance(0.7) ? program(random) : new Uint8Array(random.below(70)).fill(0x5b);
  return {
    ...{ codes, data: random.chance(0.1) ? concatBytes(inner, inner) : inner },
    to: random.chance(0.2) ? null : random.pick(people),
    gas: BigInt(random.pick([200_000, 400_000, 60_000, 5_000, 150_000 + random.below(200_000)])),
    ...{ warm: random.chance(0.3) ? [random.pick(people)] : [], lentTo: random.below(contracts) },
  };
}

it(`${programs} random programs from seed ${seed} end as they do in the library`, async () => {
  const random = new SeededRandom(seed);
  const ends = new Map<string, number>();
  for (let n = 0; n < programs; n++) {
    const given = caseOf(random);
    const lean = await runLean(given);
    const plain = await runPlain(given);
    const end = lean.reason.split(' at ')[0] ?? '';
    ends.set(end, (ends.get(end) ?? 0) + 1);
    assert.deepEqual(lean, plain, `program ${n}`);
    assert.ok(isKnown(lean.reason), lean.reason);
  }
  if (process.env.SHOW) console.log(ends);
  assert.ok((ends.get('') ?? 0) > programs / 4, 'many end well');
});

it('what a frame that fails kept for a while is gone', async () => {
  const lender = `5f5f5f5f73${contract(1).slice(2)}61fffff46001545060015c600255`;
  const codes = [lender, '600760015dfe'].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')));
  const given = { codes, data: codes[0] ?? assert.fail(), gas: 400_000n, warm: [], lentTo: 0 };
  for (const to of [contract(0), null]) {
    const one = { ...given, to };
    const ended = await runLean(one);
    assert.equal(ended.reason, '');
    assert.deepEqual(ended, await runPlain(one));
  }
});

const known = Object.values(EVMError.errorMessages) as readonly string[];
function isKnown(reason: string): boolean {
  return reason === '' || known.some((message) => reason.startsWith(message));
}
