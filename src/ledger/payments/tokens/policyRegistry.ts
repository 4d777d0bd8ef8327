/**
 * PolicyRegistry, 0x4d5042…0011 (payments.md 2.3; TIP-403, TIP-1015, TIP-1028): lists of accounts
 * that tokens and receivers refer to by number. A list has an admin, who alone changes it.
 */
import { parseAbi } from 'abitype';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { POLICY_REGISTRY } from '../addresses.ts';
import { type Call, commonErrors, defineContract, errorsOf, eventsOf, long } from '../contract.ts';
import { isAllowed, nextPolicyId, POLICY, policies, policyExists } from './policyStore.ts';

const abi = parseAbi([
  'function createPolicy(address admin, uint8 policyType) returns (uint64 policyId)',
  long(
    'function createPolicyWithAccounts(address admin, uint8 policyType, address[] accounts)',
    'returns (uint64 policyId)',
  ),
  long(
    'function createCompoundPolicy(uint64 senderPolicyId, uint64 recipientPolicyId, uint64',
    'mintRecipientPolicyId) returns (uint64 policyId)',
  ),
  'function modifyPolicyWhitelist(uint64 policyId, address account, bool allowed)',
  'function modifyPolicyBlacklist(uint64 policyId, address account, bool restricted)',
  'function setPolicyAdmin(uint64 policyId, address admin)',
  'function isAuthorized(uint64 policyId, address user) view returns (bool)',
  'function isAuthorizedSender(uint64 policyId, address user) view returns (bool)',
  'function isAuthorizedRecipient(uint64 policyId, address user) view returns (bool)',
  long(
    'function setReceivePolicy(uint64 senderPolicyId, uint64 tokenFilterId, address',
    'recoveryAuthority, bool requireMemo)',
  ),
  long(
    'function receivePolicy(address account) view returns (bool hasReceivePolicy, uint64',
    'senderPolicyId, uint64 tokenFilterId, address recoveryAuthority, bool requireMemo)',
  ),
  'event PolicyCreated(uint64 indexed policyId, address indexed updater, uint8 policyType)',
  long(
    'event PolicyAdminUpdated(uint64 indexed policyId, address indexed updater, address',
    'indexed admin)',
  ),
  long(
    'event WhitelistUpdated(uint64 indexed policyId, address indexed updater, address indexed',
    'account, bool allowed)',
  ),
  long(
    'event BlacklistUpdated(uint64 indexed policyId, address indexed updater, address indexed',
    'account, bool restricted)',
  ),
  long(
    'event ReceivePolicyUpdated(address indexed account, uint64 senderPolicyId, uint64',
    'tokenFilterId, address recoveryAuthority, bool requireMemo)',
  ),
  'error NotAuthorized(address caller)',
  'error InvalidAccount(address account)',
  'error UnknownPolicy(uint64 policyId)',
  'error InvalidPolicyType(uint8 policyType)',
  'error IncompatiblePolicyType(uint64 policyId, uint8 policyType)',
  ...commonErrors,
]);

const fail = errorsOf(abi);
const log = eventsOf(POLICY_REGISTRY, abi);

export const policyRegistry = defineContract({
  name: 'PolicyRegistry',
  address: POLICY_REGISTRY,
  abi,
  functions: {
    createPolicy: { gas: 10_000n, run: (call, admin, type) => create(call, admin, type) },
    createPolicyWithAccounts: {
      gas: 10_000n,
      run: (call, admin, type, accounts) => {
        const id = create(call, admin, type);
        for (const account of accounts) list(call, id, type, account, true);
        return id;
      },
    },
    createCompoundPolicy: {
      gas: 10_000n,
      run: (call, sender, recipient, mintRecipient) => {
        const { state } = call;
        for (const part of [sender, recipient, mintRecipient]) {
          needPolicy(call, part);
          const { type } = policies.policies(part).head.get(state);
          if (type === POLICY.compound) throw fail('IncompatiblePolicyType', part, type);
        }
        // It has nothing that an admin could change.
        const id = add(call, POLICY.compound, ZERO_ADDRESS);
        policies.policies(id).parts.set(state, { sender, recipient, mintRecipient });
        return id;
      },
    },
    modifyPolicyWhitelist: {
      gas: 8_000n,
      run: (call, id, account, allowed) => {
        needAdminOf(call, id, POLICY.whitelist);
        list(call, id, POLICY.whitelist, account, allowed);
      },
    },
    modifyPolicyBlacklist: {
      gas: 8_000n,
      run: (call, id, account, restricted) => {
        needAdminOf(call, id, POLICY.blacklist);
        list(call, id, POLICY.blacklist, account, restricted);
      },
    },
    setPolicyAdmin: {
      gas: 8_000n,
      run: (call, id, admin) => {
        const { type } = needAdminOf(call, id);
        if (admin === ZERO_ADDRESS) throw fail('InvalidAccount', admin);
        policies.policies(id).head.set(call.state, { type, admin });
        call.emit(log('PolicyAdminUpdated', id, call.sender, admin));
      },
    },
    isAuthorized: {
      gas: 5_000n,
      run: ({ state }, id, user) =>
        isAllowed(state, id, user, 'sender') && isAllowed(state, id, user, 'recipient'),
    },
    isAuthorizedSender: {
      gas: 5_000n,
      run: ({ state }, id, user) => isAllowed(state, id, user, 'sender'),
    },
    isAuthorizedRecipient: {
      gas: 5_000n,
      run: ({ state }, id, user) => isAllowed(state, id, user, 'recipient'),
    },
    setReceivePolicy: {
      gas: 10_000n,
      run: (call, senders, tokens, recoveryAuthority, requireMemo) => {
        const { state, sender } = call;
        needPolicy(call, senders);
        needPolicy(call, tokens);
        const own = policies.receivers(sender);
        own.rule.set(state, { isSet: true, requireMemo, senders, tokens });
        own.recoveryAuthority.set(state, recoveryAuthority);
        const rule = [senders, tokens, recoveryAuthority, requireMemo] as const;
        call.emit(log('ReceivePolicyUpdated', sender, ...rule));
      },
    },
    receivePolicy: {
      gas: 5_000n,
      run: ({ state }, account) => {
        const own = policies.receivers(account);
        const { isSet, senders, tokens, requireMemo } = own.rule.get(state);
        return [isSet, senders, tokens, own.recoveryAuthority.get(state), requireMemo] as const;
      },
    },
  },
});

function create(call: Call, admin: Address, type: bigint): bigint {
  if (type !== POLICY.whitelist && type !== POLICY.blacklist) {
    throw fail('InvalidPolicyType', type);
  }
  if (admin === ZERO_ADDRESS) throw fail('InvalidAccount', admin);
  return add(call, type, admin);
}

function add(call: Call, type: bigint, admin: Address): bigint {
  const { state, sender } = call;
  const id = nextPolicyId(state);
  policies.count.set(state, policies.count.get(state) + 1n);
  policies.policies(id).head.set(state, { type, admin });
  call.emit(log('PolicyCreated', id, sender, type));
  return id;
}

function list(call: Call, id: bigint, type: bigint, account: Address, isListed: boolean): void {
  policies.listed(id)(account).set(call.state, isListed);
  const name = type === POLICY.whitelist ? 'WhitelistUpdated' : 'BlacklistUpdated';
  call.emit(log(name, id, call.sender, account, isListed));
}

function needPolicy({ state }: Call, id: bigint): void {
  if (!policyExists(state, id)) throw fail('UnknownPolicy', id);
}

/** The caller is the admin of this policy, which is of this type where one is named. */
function needAdminOf({ state, sender }: Call, id: bigint, wanted?: bigint) {
  const { type, admin } = policies.policies(id).head.get(state);
  if (admin === ZERO_ADDRESS) throw fail('UnknownPolicy', id);
  if (wanted !== undefined && type !== wanted) throw fail('IncompatiblePolicyType', id, type);
  if (admin !== sender) throw fail('NotAuthorized', sender);
  return { type, admin };
}
