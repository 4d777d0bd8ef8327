/**
 * Random programs, each on every library for signatures: gas, output, logs and state's root have to
 * be the same, and the EVM's library never throws anything but what a program can cause.
 */
import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { EVMError } from '@ethereumjs/evm';
import { chooseSecp256k1, secp256k1Backend, sign } from '#src/crypto/secp256k1.ts';
import { type EvmOutcome, runInEvm } from '#src/ledger/evm/machine.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import { concatBytes, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import { keccakHash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { asHeight, asWei } from '#src/types/units.ts';

const programs = Number(process.env.MPBP_EVM_PROGRAMS ?? 5_000);
const seed = Number(process.env.MPBP_EVM_SEED ?? 7_002);
const backends = ['native', 'wasm', 'noble'] as const;
const sender = `0x${'aa'.repeat(20)}` as Address;
const target = `0x${'bb'.repeat(20)}` as Address;
const known = Object.values(EVMError.errorMessages);

const block = {
  chainId: 6727n,
  coinbase: sender,
  prevRandao: keccakHash(Uint8Array.of(1)),
  baseFeePerGas: 10n,
  gasLimit: 1_000_000n,
  blockHash: (height: bigint) => keccakHash(uintToBytes(height, 8)),
  height: asHeight(300n),
  timestampMs: 1_790_000_000_000,
};

async function run(code: Uint8Array, data: Uint8Array) {
  const state = new Overlay(emptyState);
  const codeHash = state.setCode(code);
  state.setAccount(target, { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(1_000n), codeHash });
  state.setAccount(sender, { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(10n ** 18n) });
  const message = { sender, to: target, value: 3n, data, gas: 900_000n, gasPrice: 1n };
  const outcome = await runInEvm(state, block, { ...message, accessList: [], warm: [] });
  return { outcome, root: state.seal(EMPTY_TRIE_ROOT).root };
}

/** Calls of precompiles and what follows, between opcodes that mostly find their operands. */
function program(random: SeededRandom): { code: Uint8Array; data: Uint8Array } {
  const parts: string[] = [];
  const byte = (value: number) => value.toString(16).padStart(2, '0');
  const pick = <T>(list: readonly T[]): T => random.pick(list);
  const small = () => byte(random.below(256));
  // Call data to memory, so that precompiles have something to work on.
  if (random.chance(0.8)) parts.push('365f5f37');
  const length = 3 + random.below(30);
  for (let at = 0; at < length; at++) {
    const kind = random.float();
    if (kind < 0.25) parts.push(`60${small()}60${small()}${pick(arithmetic)}`);
    else if (kind < 0.4)
      parts.push(`60${small()}${pick(['51', '54', '35', '31', '3b', '40', '5c'])}`);
    else if (kind < 0.5)
      parts.push(`60${small()}60${small()}${pick(['52', '53', '55', '5d', '20'])}`);
    else if (kind < 0.75) {
      const [size, out] = [pick(['36', '6080', '6020', '60d5']), pick(['60', '61'])];
      const to = pick(['01', '01', '01', '02', '03', '04', '05', '06', '07', '09']);
      const back = out === '60' ? '60e0' : '610200';
      parts.push(
        `6040${back}${size}5f60${to}${pick(['611fff', '615fff'])}fa`,
        pick(['', '50', '5f55']),
      );
    } else if (kind < 0.8) parts.push('3d5f60e03e', '3d60e020');
    else if (kind < 0.85) parts.push(pick(['60206000a0', '5f60206000a1']));
    else if (kind < 0.9)
      parts.push(pick(['30', '33', '3a', '41', '43', '44', '45', '47', '5a', '58']));
    else if (kind < 0.985) parts.push(`5f5f60${byte(random.below(4))}f0`);
    else parts.push(small());
  }
  parts.push(pick(['00', '60e05ff3', '60e05ffd', '']));
  const code = new Uint8Array(Buffer.from(parts.join(''), 'hex'));
  return { code, data: signedData(random) };
}

const arithmetic = [
  '01',
  '02',
  '03',
  '04',
  '05',
  '06',
  '07',
  '0a',
  '0b',
  '10',
  '12',
  '16',
  '1a',
  '1b',
];

/** What ecrecover takes: sound, or with one of its parts wrong. */
function signedData(random: SeededRandom): Uint8Array {
  const digest = uintToBytes(BigInt(random.below(2 ** 32)) + 1n, 32);
  const key = uintToBytes(BigInt(random.below(2 ** 32)) + 1n, 32);
  const { signature, yParity } = sign(digest, key);
  const v = random.chance(0.2) ? random.below(40) : 27 + yParity;
  const data = concatBytes(digest, uintToBytes(BigInt(v), 32), signature);
  const at = 64 + random.below(64);
  if (random.chance(0.3)) data[at] = (data[at] ?? 0) ^ (1 << random.below(8));
  if (random.chance(0.05)) data.fill(0xff, 64);
  return random.chance(0.1) ? data.subarray(0, random.below(128)) : data;
}

const before = secp256k1Backend();
after(() => chooseSecp256k1(before));

it(`${programs} random programs from seed ${seed} end the same on every library`, async () => {
  const random = new SeededRandom(seed);
  const all = Array.from({ length: programs }, () => program(random));
  const first: string[] = [];
  let successes = 0;
  for (const backend of backends) {
    await chooseSecp256k1(backend);
    for (const [n, { code, data }] of all.entries()) {
      const { outcome, root } = await run(code, data);
      assertPossible(outcome, code);
      if (outcome.ended === 'well') successes++;
      const end = keccakHash(utf8(JSON.stringify({ ...outcome, root }, spell)));
      first[n] ??= end;
      assert.equal(end, first[n], `program ${n}, ${backend}: ${Buffer.from(code).toString('hex')}`);
    }
  }
  const most = programs * backends.length;
  assert.ok(successes > most / 2, `${successes} of ${most} ended well: the programs do something`);
});

function assertPossible({ ended, reason }: EvmOutcome, code: Uint8Array): void {
  const isKnown = known.some((message) => reason.startsWith(message));
  const hex = Buffer.from(code).toString('hex');
  assert.ok(ended === 'well' || isKnown, `${hex}: ${reason}`);
}

function spell(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return typeof value === 'bigint' ? `${value}` : value;
}
