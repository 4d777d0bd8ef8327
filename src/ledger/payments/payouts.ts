/**
 * Payouts, 0x4d5042…0024 (payments.md 2.3): many payments of one payer in one transaction, such as
 * salaries or what merchants are owed. It pays from whoever calls it, or from whoever signed the
 * batch, without an allowance, and from nobody else. A payer's reference of a batch is good once.
 *
 * Storage: 0 domainSeparator, 1 batches.
 */
import { parseAbi } from 'abitype';
import { keccak256 } from '#src/crypto/keccak.ts';
import { uintToBytes } from '#src/lib/bytes.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { PAYOUTS } from './addresses.ts';
import {
  type Call,
  commonErrors,
  defineContract,
  errorsOf,
  eventsOf,
  long,
  Revert,
} from './contract.ts';
import { address, bool, bytes32, mapping, storage } from './storage.ts';
import { chainIdIn } from './tokens/factoryStore.ts';
import {
  digest,
  RECOVERY_GAS,
  signerOf,
  structHash,
  typeHash,
  VERSION,
} from './tokens/signatures.ts';
import { tokenErrors } from './tokens/tokenAbi.ts';
import { checkReceiver, checkSender, headOf, Purse, resolved } from './tokens/tokenStore.ts';

const abi = parseAbi([
  'struct PayoutItem { address to; uint256 amount; bytes32 memo; }',
  long(
    'function payoutBatch(address token, PayoutItem[] items, bytes32 batchRef, bool atomic)',
    'returns (bool[] ok)',
  ),
  long(
    'function payoutBatchWithAuthorization(address from, address token, PayoutItem[] items,',
    'bytes32 batchRef, bool atomic, uint256 validBefore, bytes signature) returns (bool[] ok)',
  ),
  'function batchState(address from, bytes32 batchRef) view returns (bool isPaid)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  long(
    'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256',
    'chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
  ),
  long(
    'event BatchPaid(bytes32 indexed batchRef, address indexed from, address indexed token,',
    'uint32 count, uint32 failed, uint256 total)',
  ),
  long(
    'event BatchItem(bytes32 indexed batchRef, uint32 indexed item, address indexed to,',
    'uint256 amount, bytes32 memo, bool ok, uint16 errorCode)',
  ),
  'error EmptyBatch()',
  'error BatchRefUsed(address from, bytes32 batchRef)',
  // `reason`: the token's own error.
  'error ItemFailed(uint256 item, uint16 errorCode, bytes reason)',
  ...tokenErrors,
  ...commonErrors,
]);

const fail = errorsOf(abi);
const log = eventsOf(PAYOUTS, abi);

export const PAYOUTS_NAME = 'MPBP Payouts';
/** Why an item was not paid, in `BatchItem` and `ItemFailed`; 0 where it was. */
export const ITEM_ERRORS: ReadonlyMap<string, bigint> = new Map([
  ['ERC20InsufficientBalance', 1n],
  ['ERC7943InsufficientUnfrozenBalance', 2n],
  ['ERC20InvalidReceiver', 3n],
  ['ERC7943CannotReceive', 4n],
  ['MemoRequired', 5n],
  ['ReceiverRefusesSender', 6n],
  ['ReceiverRefusesToken', 7n],
  ['ConduitNotCredited', 8n],
  ['LimitExceeded', 9n],
  ['VirtualAddressUnregistered', 10n],
]);
const OTHER_ERROR = 0xffffn;

const PAYOUT_BATCH = typeHash(
  'PayoutBatch(address from,address token,bytes32 itemsHash,bytes32 batchRef,bool atomic,' +
    'uint256 validBefore)',
);
/** EIP-5267: name, version, chain and contract are in the domain. */
const DOMAIN_FIELDS = '0x0f';

const READ = 3_000n;
const BATCH = 6_000n;
/** Beside the words that it reads and writes: to decode it, its two events, or its error. */
const ITEM = 5_000n;
/** To hash what was signed. */
const SIGNED_ITEM = 500n;

export const payoutStore = storage(PAYOUTS, {
  /** EIP-712, written with the genesis. */
  domainSeparator: bytes32,
  /** By payer and reference. */
  batches: mapping(address, mapping(bytes32, bool)),
});

/**
 * So many items fit a transaction whoever receives them, signed or not: each to a new account and
 * with a memo is 24,000 gas at the most, of the 16,777,216 that a transaction may have. Its 128 KiB
 * are full at 1,360.
 */
export const payoutItemsMax = 690;

type Item = { readonly to: Address; readonly amount: bigint; readonly memo: Hash };

type Batch = {
  readonly from: Address;
  readonly token: Address;
  readonly items: readonly Item[];
  readonly batchRef: Hash;
  /** All items or none. */
  readonly atomic: boolean;
};

export const payouts = defineContract({
  name: 'Payouts',
  address: PAYOUTS,
  abi,
  functions: {
    payoutBatch: {
      gas: BATCH,
      run: (call, token, items, batchRef, atomic) =>
        payBatch(call, { from: call.sender, token, items, batchRef, atomic }),
    },
    payoutBatchWithAuthorization: {
      gas: BATCH,
      run: (call, from, token, items, batchRef, atomic, validBefore, signature) => {
        const batch = { from, token, items, batchRef, atomic };
        needSigned(call, batch, validBefore, signature);
        return payBatch(call, batch);
      },
    },
    batchState: {
      gas: READ,
      run: ({ state }, from, batchRef) => payoutStore.batches(from)(batchRef).get(state),
    },
    DOMAIN_SEPARATOR: { gas: READ, run: ({ state }) => payoutStore.domainSeparator.get(state) },
    eip712Domain: {
      gas: READ,
      run: ({ state, self }) => {
        const domain = [PAYOUTS_NAME, VERSION, chainIdIn(state), self, ZERO_HASH] as const;
        return [DOMAIN_FIELDS, ...domain, []] as const;
      },
    },
  },
});

function needSigned(call: Call, batch: Batch, validBefore: bigint, signature: Uint8Array): void {
  const { state, now } = call;
  const { from, token, items, batchRef, atomic } = batch;
  if (now >= validBefore) throw fail('AuthorizationExpired', validBefore);
  call.spend(RECOVERY_GAS + SIGNED_ITEM * BigInt(items.length));
  const terms = [itemsHash(items), batchRef, atomic ? 1n : 0n, validBefore] as const;
  const struct = structHash(PAYOUT_BATCH, from, token, ...terms);
  const signed = digest(payoutStore.domainSeparator.get(state), struct);
  if (signerOf(signed, signature) !== from) throw fail('InvalidSignature', from);
}

/** `keccak256(abi.encode(items))`, as Solidity and the libraries have it. */
function itemsHash(items: readonly Item[]): Hash {
  const encoded = new Uint8Array(64 + 96 * items.length);
  encoded[31] = 32;
  encoded.set(uintToBytes(BigInt(items.length), 32), 32);
  let at = 64;
  for (const { to, amount, memo } of items) {
    encoded.set(addressToBytes(to), at + 12);
    encoded.set(uintToBytes(amount, 32), at + 32);
    encoded.set(hashToBytes(memo), at + 64);
    at += 96;
  }
  return hashFromBytes(keccak256(encoded));
}

function payBatch(call: Call, batch: Batch): boolean[] {
  const { state } = call;
  const { from, token, items, batchRef, atomic } = batch;
  if (items.length === 0) throw fail('EmptyBatch');
  const isPaid = payoutStore.batches(from)(batchRef);
  if (isPaid.get(state)) throw fail('BatchRefUsed', from, batchRef);
  isPaid.set(state, true);
  const head = headOf(state, token);
  checkSender(state, head, from);
  const purse = new Purse(call, token, from);
  const ok: boolean[] = [];
  let total = 0n;
  for (const [index, { to, amount, memo }] of items.entries()) {
    call.spend(ITEM);
    const item = BigInt(index);
    const refused = attempt(() => {
      const named = { token, from, to, amount, hasMemo: memo !== ZERO_HASH };
      const movement = resolved(state, named);
      checkReceiver(state, head, movement);
      purse.pay(movement);
    });
    const errorCode = refused === null ? 0n : (ITEM_ERRORS.get(refused.error) ?? OTHER_ERROR);
    if (refused === null) total += amount;
    else if (atomic) throw fail('ItemFailed', item, errorCode, refused.data);
    ok.push(refused === null);
    call.emit(log('BatchItem', batchRef, item, to, amount, memo, refused === null, errorCode));
  }
  purse.close();
  const failed = BigInt(ok.filter((isOk) => !isOk).length);
  call.emit(log('BatchPaid', batchRef, from, token, BigInt(items.length), failed, total));
  return ok;
}

/** Why it was refused, if it was: what refuses has changed nothing. */
function attempt(pay: () => void): Revert | null {
  try {
    pay();
    return null;
  } catch (error) {
    if (error instanceof Revert) return error;
    throw error;
  }
}
