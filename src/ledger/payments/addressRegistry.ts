/**
 * AddressRegistry, 0x4d5042…0006 (payments.md 2.3; TIP-1022): deposit addresses without sweeping,
 * and aliases. An account registers once and makes any number of virtual addresses by itself, one
 * for each customer or invoice; tokens give what is paid to them to the account. An alias is the
 * hash of a handle or a telephone number, for which a member vouches.
 */
import { parseAbi } from 'abitype';
import { keccak256 } from '#src/crypto/keccak.ts';
import { concatBytes, type Hex, toHex } from '#src/lib/bytes.ts';
import {
  type Address,
  addressToBytes,
  canReceiveMoney,
  isVirtualAddress,
  virtualParts,
  ZERO_ADDRESS,
} from '#src/types/address.ts';
import { type Hash, hashToBytes } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader } from '../state/reader.ts';
import { ADDRESS_REGISTRY } from './addresses.ts';
import { addressBook, recipientOf } from './addressStore.ts';
import { type Call, commonErrors, defineContract, errorsOf, eventsOf, long } from './contract.ts';
import { isConduit, isOperatorOf, memberHasRole, ROLE, standingOf } from './memberStore.ts';
import { chainIdIn } from './tokens/factoryStore.ts';
import {
  digest,
  domainSeparator,
  RECOVERY_GAS,
  signerOf,
  structHash,
  typeHash,
} from './tokens/signatures.ts';

const abi = parseAbi([
  'function registerVirtualMaster(bytes32 salt) returns (bytes4 masterId)',
  'function getMaster(bytes4 masterId) view returns (address)',
  'function isVirtualAddress(address addr) pure returns (bool)',
  long(
    'function decodeVirtualAddress(address addr) pure returns (bool isVirtual, bytes4 masterId,',
    'bytes6 userTag)',
  ),
  'function resolveRecipient(address to) view returns (address effectiveRecipient)',
  'function setAlias(bytes32 aliasHash, address account, bytes proof)',
  long(
    'function resolveAlias(bytes32 aliasHash) view returns (address account, bytes32',
    'hostingMemberId)',
  ),
  'function aliasNonce(bytes32 aliasHash) view returns (uint64)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'event MasterRegistered(bytes4 indexed masterId, address indexed masterAddress)',
  long(
    'event AliasSet(bytes32 indexed aliasHash, address indexed account, bytes32 indexed',
    'hostingMemberId)',
  ),
  'error NotAuthorized(address caller)',
  'error InvalidMasterAddress(address account)',
  'error MasterIdCollision(address master)',
  'error VirtualAddressUnregistered(address virtualAddress)',
  'error InvalidAccount(address account)',
  'error InvalidSignature(address signer)',
  'error AliasTaken(bytes32 aliasHash, bytes32 hostingMemberId)',
  'error UnknownAlias(bytes32 aliasHash)',
  ...commonErrors,
]);

const fail = errorsOf(abi);
const log = eventsOf(ADDRESS_REGISTRY, abi);

const ALIAS = typeHash(
  'Alias(bytes32 aliasHash,address account,bytes32 hostingMemberId,uint64 nonce)',
);
const NO_MASTER = '0x00000000';
const NO_TAG = '0x000000000000';

export const addressRegistry = defineContract({
  name: 'AddressRegistry',
  address: ADDRESS_REGISTRY,
  abi,
  functions: {
    registerVirtualMaster: {
      gas: 8_000n,
      run: (call, salt) => {
        const { state, sender } = call;
        // Who stands between others is paid by nobody, and so not by this either (R3).
        const mayBe = canReceiveMoney(sender) && !isConduit(state, sender);
        if (!mayBe) throw fail('InvalidMasterAddress', sender);
        const masterId = masterIdOf(sender, salt);
        const master = addressBook.masters(masterId);
        const other = master.get(state);
        if (other !== ZERO_ADDRESS) throw fail('MasterIdCollision', other);
        master.set(state, sender);
        call.emit(log('MasterRegistered', masterId, sender));
        return masterId;
      },
    },
    getMaster: { gas: 5_000n, run: ({ state }, id) => addressBook.masters(id).get(state) },
    isVirtualAddress: { gas: 3_000n, run: (_, account) => isVirtualAddress(account) },
    decodeVirtualAddress: {
      gas: 3_000n,
      run: (_, account) => {
        if (!isVirtualAddress(account)) return [false, NO_MASTER, NO_TAG] as const;
        const { masterId, userTag } = virtualParts(account);
        return [true, masterId, userTag] as const;
      },
    },
    resolveRecipient: {
      gas: 5_000n,
      run: ({ state }, to) => {
        const account = recipientOf(state, to);
        if (account === null) throw fail('VirtualAddressUnregistered', to);
        return account;
      },
    },
    setAlias: {
      gas: 10_000n,
      run: (call, aliasHash, account, proof) =>
        account === ZERO_ADDRESS
          ? removeAlias(call, aliasHash)
          : setAlias(call, aliasHash, account, proof),
    },
    resolveAlias: {
      gas: 5_000n,
      run: ({ state }, aliasHash) => {
        const { account, hostingMemberId } = aliasIn(state, aliasHash);
        return [account, hostingMemberId] as const;
      },
    },
    aliasNonce: {
      gas: 5_000n,
      run: ({ state }, aliasHash) => addressBook.aliases(aliasHash).head.get(state).changes,
    },
    DOMAIN_SEPARATOR: { gas: 5_000n, run: ({ state }) => domainIn(state) },
  },
});

/** As TIP-1022 derives it, without its proof of work: what counts is who registered it. */
function masterIdOf(account: Address, salt: Hash): Hex {
  return toHex(keccak256(concatBytes(addressToBytes(account), hashToBytes(salt))).subarray(4, 8));
}

/** By an operator of the member that vouches for it, with the word of the account's owner. */
function setAlias(call: Call, aliasHash: Hash, account: Address, proof: Uint8Array): void {
  const { state, sender } = call;
  const { memberId, roles } = standingOf(state, sender);
  if ((roles & ROLE.access) === 0n) throw fail('NotAuthorized', sender);
  const { hostingMemberId: host } = aliasIn(state, aliasHash);
  if (host !== ZERO_HASH && host !== memberId) throw fail('AliasTaken', aliasHash, host);
  if (!canReceiveMoney(account)) throw fail('InvalidAccount', account);
  const { changes } = addressBook.aliases(aliasHash).head.get(state);
  call.spend(RECOVERY_GAS);
  const struct = structHash(ALIAS, aliasHash, account, memberId, changes);
  const signer = signerOf(digest(domainIn(state), struct), proof);
  if (signer !== account) throw fail('InvalidSignature', account);
  writeAlias(call, aliasHash, account, memberId);
}

/** Whoever it names has the last word, and so has the member that vouches for it. */
function removeAlias(call: Call, aliasHash: Hash): void {
  const { state, sender } = call;
  const { account, hostingMemberId } = aliasIn(state, aliasHash);
  if (account === ZERO_ADDRESS) throw fail('UnknownAlias', aliasHash);
  const isHost = isOperatorOf(state, sender, hostingMemberId, ROLE.access);
  if (sender !== account && !isHost) throw fail('NotAuthorized', sender);
  writeAlias(call, aliasHash, ZERO_ADDRESS, ZERO_HASH);
}

function writeAlias(call: Call, aliasHash: Hash, account: Address, memberId: Hash): void {
  const { state } = call;
  const { head, hostingMemberId } = addressBook.aliases(aliasHash);
  head.set(state, { account, changes: head.get(state).changes + 1n });
  hostingMemberId.set(state, memberId);
  call.emit(log('AliasSet', aliasHash, account, memberId));
}

/** Of a member that may not vouch any more there are none. */
function aliasIn(state: StateReader, aliasHash: Hash): { account: Address; hostingMemberId: Hash } {
  const record = addressBook.aliases(aliasHash);
  const hostingMemberId = record.hostingMemberId.get(state);
  const isVouchedFor =
    hostingMemberId !== ZERO_HASH && memberHasRole(state, hostingMemberId, ROLE.access);
  if (!isVouchedFor) return { account: ZERO_ADDRESS, hostingMemberId: ZERO_HASH };
  return { account: record.head.get(state).account, hostingMemberId };
}

function domainIn(state: StateReader): Hash {
  return domainSeparator('MPBP AddressRegistry', chainIdIn(state), ADDRESS_REGISTRY);
}
